#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include <mta/delivery/mailbox_output.hpp>

namespace mta::delivery {
namespace {

constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// Opens path and makes what is missing of it, each new directory durable in its parent.
result<unique_fd> open_directories(const std::string& path) {
    unique_fd at(::open("/", directory_flags));
    if (!at)
        return fail_errno("open /");
    for (std::size_t start = 0; (start = path.find_first_not_of('/', start)) != std::string::npos;) {
        const auto end = std::min(path.find('/', start), path.size());
        const std::string name = path.substr(start, end - start);
        // O_PATH: search permission is enough on the way down.
        int next = ::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (next < 0 && errno == ENOENT) {
            if (::mkdirat(at.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
                return fail_errno("create directory " + path.substr(0, end));
            unique_fd parent(::openat(at.get(), ".", directory_flags));
            if (!parent || ::fsync(parent.get()) != 0)
                return fail_errno("flush directory of " + path.substr(0, end));
            next = ::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
        if (next < 0)
            return fail_errno("open directory " + path.substr(0, end));
        at = unique_fd(next);
        start = end;
    }
    return at;
}

// One of tmp, new and cur: ours to write, so never a link.
result<unique_fd> open_part(int base, const std::string& path, const char* name) {
    int fd = ::openat(base, name, directory_flags | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        if (::mkdirat(base, name, 0700) != 0 && errno != EEXIST)
            return fail_errno("create directory " + path + name);
        unique_fd parent(::openat(base, ".", directory_flags));
        if (!parent || ::fsync(parent.get()) != 0)
            return fail_errno("flush directory " + path);
        fd = ::openat(base, name, directory_flags | O_NOFOLLOW);
    }
    if (fd < 0)
        return fail_errno("open directory " + path + name);
    return unique_fd(fd);
}

std::string temporary_name(const timeval& now, const std::string& hostname) {
    static std::atomic<unsigned> deliveries{0};
    const unsigned count = deliveries.fetch_add(1, std::memory_order_relaxed);
    // Q keeps apart what one process delivers in one second.
    return std::to_string(now.tv_sec) + ".P" + std::to_string(::getpid()) + "Q" + std::to_string(count) + "." + hostname;
}

std::string final_name(const timeval& now, const struct stat& file, const std::string& hostname) {
    char unique[96];
    std::snprintf(unique, sizeof unique, ".V%lxI%lxM%ld.", static_cast<unsigned long>(file.st_dev),
                  static_cast<unsigned long>(file.st_ino), static_cast<long>(now.tv_usec));
    return std::to_string(now.tv_sec) + unique + hostname;
}

// Removes the file it names unless it was kept.
class pending_file {
public:
    pending_file(int directory, std::string name) : directory_(directory), name_(std::move(name)) {}
    pending_file(const pending_file&) = delete;
    pending_file& operator=(const pending_file&) = delete;
    ~pending_file() {
        if (directory_ >= 0)
            (void)::unlinkat(directory_, name_.c_str(), 0);
    }
    void moved(int directory, std::string name) {
        directory_ = directory;
        name_ = std::move(name);
    }
    void keep() noexcept { directory_ = -1; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    int directory_;
    std::string name_;
};

// Every way in which the file cannot be made reads alike, as in the reference: the part is for people who debug.
failure not_made(const std::string& file, const std::error_code& why) { return fail(why, "create maildir file " + file); }

struct parts {
    unique_fd tmp, fresh;
};

result<parts> open_parts(const std::string& path, const std::string& first_file) {
    auto base = open_directories(path);
    if (!base)
        return not_made(first_file, base.error().code);
    parts out;
    for (const char* name : {"tmp", "new", "cur"}) {
        auto part = open_part(base->get(), path, name);
        if (!part)
            return not_made(first_file, part.error().code);
        if (name[0] == 't')
            out.tmp = std::move(*part);
        else if (name[0] == 'n')
            out.fresh = std::move(*part);
    }
    return out;
}

result<void> deliver_into(const mailbox_job& job, const std::string& path, int queue_file) {
    timeval now{};
    ::gettimeofday(&now, nullptr);
    const std::string name = temporary_name(now, job.hostname);
    const auto at = open_parts(path, path + "tmp/" + name);
    if (!at)
        return tl::make_unexpected(at.error());
    unique_fd file(::openat(at->tmp.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file)
        return fail_errno("create maildir file " + path + "tmp/" + name);
    pending_file pending(at->tmp.get(), name);
    mailbox_output out(file.get(), job.limit > 0 ? job.limit : -1);
    if (auto done = write_message(job, queue_file, out, false); !done)
        return done;
    struct stat made {};
    if (::fsync(file.get()) != 0 || ::fstat(file.get(), &made) != 0)
        return fail_errno("error writing message");
    if (auto closed = file.close(); !closed)
        return fail(closed.error().code, "error writing message");
    const std::string kept = final_name(now, made, job.hostname);
    if (::renameat(at->tmp.get(), name.c_str(), at->fresh.get(), kept.c_str()) != 0)
        return fail_errno("create maildir file " + path + "new/" + kept);
    pending.moved(at->fresh.get(), kept);
    // Without this the message can be lost when power fails after its queue file is gone (R3).
    if (::fsync(at->fresh.get()) != 0)
        return fail_errno("flush directory " + path + "new");
    pending.keep();
    return {};
}

} // namespace

status deliver_maildir(const mailbox_job& job, int queue_file) {
    std::string path = job.path;
    if (path.back() != '/')
        path += '/';
    const auto done = deliver_into(job, path, queue_file);
    if (done)
        return sent("delivered to maildir");
    return write_failure(job, done.error(), "maildir delivery failed: ");
}

} // namespace mta::delivery
