#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <unordered_set>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/flush_log.hpp>

namespace mta::queue {

namespace detail {

// As many names as are kept to tell what was met already; of more, some may be met twice, which is harmless.
inline constexpr std::size_t most_known_ids = 10000;

// Opens a log and takes its lock; nullopt: there is none, or it was removed while we waited.
inline result<std::optional<unique_fd>> lock_flush_log(const spool& where, const std::string& name, int flags) {
    auto fd = where.open_file(directory::flush, name, flags, 0600);
    if (!fd && fd.error().code == std::errc::no_such_file_or_directory)
        return std::nullopt;
    if (!fd)
        return tl::make_unexpected(fd.error());
    if (auto locked = wait_lock(fd->get(), lock_mode::exclusive); !locked)
        return tl::make_unexpected(locked.error());
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0)
        return fail_errno("look at flush log " + name);
    if (!S_ISREG(status.st_mode))
        return fail(errc::not_regular, "flush log " + name + " is not a regular file");
    if (status.st_nlink == 0)
        return std::nullopt;
    return std::optional<unique_fd>(std::move(*fd));
}

inline result<void> visit_flush_log(int fd, const std::function<void(const std::string& id)>& visit) {
    std::unordered_set<std::string> known;
    const auto take = [&](const std::string& line) {
        if (is_valid_queue_id(line) && (known.size() >= most_known_ids ? known.count(line) == 0 : known.insert(line).second))
            visit(line);
    };
    std::string line;
    std::array<char, 16384> chunk; // NOLINT: filled before it is read
    for (;;) {
        const auto got = ::read(fd, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read flush log");
        if (got == 0)
            break;
        for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(got))) {
            if (c == '\n') {
                take(line);
                line.clear();
            } else if (line.size() <= 255) // longer is no name
                line += c;
        }
    }
    take(line);
    return {};
}

inline result<bool> drain_flush_file(const spool& where, const std::string& name,
                                     const std::function<void(const std::string& id)>& visit) {
    auto log = lock_flush_log(where, name, O_RDWR);
    if (!log || !*log)
        return log ? result<bool>(false) : tl::make_unexpected(log.error());
    if (auto done = visit_flush_log((*log)->get(), visit); !done)
        return tl::make_unexpected(done.error());
    if (::ftruncate((*log)->get(), 0) != 0)
        return fail_errno("empty flush log " + name);
    return true;
}

inline result<void> remove_flush_log(const spool& where, const std::string& name) {
    auto log = lock_flush_log(where, name, O_RDWR);
    struct stat status {};
    if (!log || !*log)
        return log ? result<void>() : tl::make_unexpected(log.error());
    // Somebody may have written to it since it was looked at.
    if (::fstat((*log)->get(), &status) != 0 || status.st_size > 0)
        return {};
    auto removed = where.remove(directory::flush, name);
    return removed ? result<void>() : tl::make_unexpected(removed.error());
}

} // namespace detail

std::string flush_log_name(std::string_view site) {
    std::string name(site);
    for (auto& c : name) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
        else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            c = '_';
    }
    return name;
}

result<void> append_flush_log(const spool& where, std::string_view site, std::string_view id) {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto name = flush_log_name(site);
    for (;;) {
        auto log = detail::lock_flush_log(where, name, O_WRONLY | O_APPEND | O_CREAT);
        if (!log)
            return tl::make_unexpected(log.error());
        if (!*log)
            continue; // it was removed while we waited for the lock
        if (auto written = write_all((*log)->get(), std::string(id) + '\n'); !written)
            return written;
        return (*log)->close();
    }
}

result<bool> drain_flush_log(const spool& where, std::string_view site,
                             const std::function<void(const std::string& id)>& visit) {
    return detail::drain_flush_file(where, flush_log_name(site), visit);
}

result<void> refresh_flush_logs(const spool& where, const flush_log_ages& ages,
                                const std::function<void(const std::string& id)>& visit) {
    const long long now = std::time(nullptr);
    result<void> treated;
    auto scanned = scan(where, directory::flush, [&](const scan_entry& entry) {
        const std::string name(entry.name);
        struct stat status {};
        if (!is_valid_queue_id(name) ||
            ::fstatat(entry.directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
            return scan_step::go_on;
        if (status.st_size == 0) {
            if (status.st_mtime + ages.purge < now)
                treated = detail::remove_flush_log(where, name);
        } else if (status.st_atime + ages.refresh < now) {
            if (auto drained = detail::drain_flush_file(where, name, visit); !drained)
                treated = tl::make_unexpected(drained.error());
        }
        return treated ? scan_step::go_on : scan_step::stop;
    });
    return scanned ? treated : scanned;
}

} // namespace mta::queue
