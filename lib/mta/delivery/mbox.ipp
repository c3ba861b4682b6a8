#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>

#include <mta/core/lock.hpp>
#include <mta/delivery/mailbox_output.hpp>

namespace mta::delivery {
namespace {

// A directory that may be searched and written but not read cannot be flushed by us; the file's own flush has to do.
constexpr auto no_permission = std::errc::permission_denied;

void pause(const mailbox_job& job) { std::this_thread::sleep_for(std::chrono::seconds(job.lock_delay)); }

// FILE.lock, there as long as this object. Removed only while it is still the one we made.
class dot_lock {
public:
    dot_lock() = default;
    dot_lock(const dot_lock&) = delete;
    dot_lock& operator=(const dot_lock&) = delete;
    ~dot_lock() {
        struct stat now {};
        if (!path_.empty() && ::lstat(path_.c_str(), &now) == 0 && now.st_ino == made_.st_ino &&
            now.st_dev == made_.st_dev)
            (void)::unlink(path_.c_str());
    }

    [[nodiscard]] result<void> take(const mailbox_job& job) {
        const std::string path = job.path + ".lock";
        for (int attempt = 1;; ++attempt) {
            unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0));
            if (file) {
                (void)::fstat(file.get(), &made_);
                path_ = path;
                return {};
            }
            const int reason = errno;
            if (reason == EEXIST)
                remove_stale(path, job.stale_lock_time);
            if (reason != EEXIST || attempt >= job.lock_attempts)
                return fail_errno("unable to create lock file " + path, reason);
            pause(job);
        }
    }

private:
    static void remove_stale(const std::string& path, int age) {
        struct stat held {};
        if (::lstat(path.c_str(), &held) == 0 && ::time(nullptr) - held.st_ctime > age)
            (void)::unlink(path.c_str());
    }
    std::string path_;
    struct stat made_ {};
};

struct opened {
    unique_fd fd;
    bool fresh = false;
    struct stat status {};
};

result<void> check_file(const mailbox_job& job, const struct stat& found) {
    const auto refuse = [](std::string why) { return fail(errc::not_permitted, std::move(why)); };
    if (!S_ISREG(found.st_mode))
        return refuse("file is not a regular file");
    if (found.st_nlink != 1)
        return refuse("file has " + std::to_string(found.st_nlink) + " hard links");
    // An administrator's mistake, most often, and soon repaired: it may wait.
    if (job.strict_owner && found.st_uid != ::geteuid())
        return fail(errc::temporary, "destination " + job.path + " is not owned by recipient");
    return {};
}

// A link that only root can have made, in a directory where only root can make one, is the administrator's will.
bool is_roots_link(const std::string& path) {
    struct stat link {};
    struct stat parent {};
    return ::lstat(path.c_str(), &link) == 0 && link.st_uid == 0 &&
           ::stat(parent_directory(path).c_str(), &parent) == 0 && parent.st_uid == 0 && (parent.st_mode & 0022U) == 0;
}

// Opens or creates the file. O_NONBLOCK: a FIFO in its place must not hang us.
result<opened> open_mbox(const mailbox_job& job) {
    constexpr int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    for (int attempt = 0; attempt < 10; ++attempt) {
        opened out;
        out.fd = unique_fd(::open(job.path.c_str(), flags));
        if (!out.fd && errno == ELOOP && is_roots_link(job.path))
            out.fd = unique_fd(::open(job.path.c_str(), flags & ~O_NOFOLLOW));
        else if (!out.fd && errno == ENOENT) {
            out.fd = unique_fd(::open(job.path.c_str(), flags | O_CREAT | O_EXCL, 0600));
            if (!out.fd && errno == EEXIST)
                continue; // somebody was faster, or it is a dangling link: looked at again, boundedly
            if (!out.fd)
                return fail_errno("cannot create file exclusively");
            out.fresh = true;
        }
        if (!out.fd) {
            const int reason = errno;
            struct stat target {};
            if (reason == ELOOP && ::stat(job.path.c_str(), &target) == 0)
                return fail(errc::not_permitted, "file is a symbolic link");
            return fail_errno("cannot open file", reason == ELOOP ? errno : reason);
        }
        if (::fstat(out.fd.get(), &out.status) != 0)
            return fail_errno("cannot open file");
        if (auto good = check_file(job, out.status); !good)
            return tl::make_unexpected(good.error());
        return out;
    }
    return fail(errc::not_permitted, "file is a symbolic link");
}

// fcntl locks of the open-file kind: they conflict with everybody's record locks, and, unlike those, with a second
// delivery of this very process too.
result<bool> try_record_lock(int fd) {
    struct flock request {};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    while (::fcntl(fd, F_OFD_SETLK, &request) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return false;
        if (errno != EINTR)
            return fail_errno("lock");
    }
    return true;
}

result<void> lock_file(const mailbox_job& job, int fd) {
    for (const auto kind : job.locks) {
        if (kind == file_lock::dotlock)
            continue;
        for (int attempt = 1;; ++attempt) {
            const auto had = kind == file_lock::fcntl ? try_record_lock(fd) : try_lock(fd, lock_mode::exclusive);
            if (!had)
                return fail(had.error().code, "cannot lock file");
            if (*had)
                break;
            if (attempt >= job.lock_attempts)
                return fail(errc::timeout, "unable to lock for exclusive access: Resource temporarily unavailable");
            pause(job);
        }
    }
    return {};
}

// Whether the locked file is still the one that the name leads to: a mail reader may have replaced it meanwhile.
bool still_there(const mailbox_job& job, const opened& file) {
    struct stat now {};
    const bool found = is_roots_link(job.path) ? ::stat(job.path.c_str(), &now) == 0
                                               : ::lstat(job.path.c_str(), &now) == 0;
    return found && now.st_ino == file.status.st_ino && now.st_dev == file.status.st_dev;
}

result<void> append(const mailbox_job& job, int queue_file, const opened& file) {
    const int fd = file.fd.get();
    const off_t before = ::lseek(fd, 0, SEEK_END);
    if (before < 0)
        return fail_errno("seek file");
    long long room = -1;
    if (job.limit > 0)
        room = std::max(job.limit - static_cast<long long>(before), 0LL);
    mailbox_output out(fd, room);
    auto done = write_message(job, queue_file, out, true);
    if (done && ::fsync(fd) != 0)
        done = fail_errno("error writing message");
    // A file that is empty may be one whose creator has not flushed its name.
    if (done && (file.fresh || before == 0))
        if (auto kept = sync_directory(parent_directory(job.path)); !kept && kept.error().code != no_permission)
            done = fail(kept.error().code, "error writing message");
    if (!done && ::ftruncate(fd, before) != 0)
        done = fail(done.error().code, done.error().detail + " (and it could not be cut back)");
    return done;
}

result<void> deliver_locked(const mailbox_job& job, int queue_file) {
    dot_lock dotted;
    for (const auto kind : job.locks) {
        if (kind != file_lock::dotlock)
            continue;
        auto had = dotted.take(job);
        if (!had && (!job.dotlock_may_fail || had.error().code == std::errc::file_exists))
            return had;
    }
    for (int attempt = 0; attempt < 10; ++attempt) {
        auto file = open_mbox(job);
        if (!file)
            return tl::make_unexpected(file.error());
        if (auto locked = lock_file(job, file->fd.get()); !locked)
            return locked;
        if (still_there(job, *file))
            return append(job, queue_file, *file);
    }
    return fail(errc::temporary, "file is replaced all the time");
}

} // namespace

status deliver_mbox(const mailbox_job& job, int queue_file) {
    const auto done = deliver_locked(job, queue_file);
    if (done)
        return sent("delivered to mailbox");
    return write_failure(job, done.error());
}

} // namespace mta::delivery
