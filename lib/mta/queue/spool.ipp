#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mta/config/configuration.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

namespace detail {
inline constexpr std::array<std::string_view, directory_count> directory_names = {
    "incoming", "active", "deferred", "hold", "corrupt", "maildrop", "saved", "bounce", "defer", "trace", "flush"};
}

std::string_view name(directory which) noexcept {
    return detail::directory_names[static_cast<std::size_t>(which)];
}

std::optional<directory> find_directory(std::string_view name) noexcept {
    for (std::size_t i = 0; i < directory_count; ++i)
        if (detail::directory_names[i] == name)
            return static_cast<directory>(i);
    return std::nullopt;
}

spool_options spool_options_from(const config::configuration& cfg) {
    spool_options options;
    options.root = cfg[param::queue_directory];
    options.hashed.reset();
    for (const auto& word : cfg[param::hash_queue_names])
        if (const auto which = find_directory(word); which && *which != directory::maildrop)
            options.hashed.set(static_cast<std::size_t>(*which));
    options.hash_depth = static_cast<int>(cfg[param::hash_queue_depth]);
    options.ids = cfg[param::enable_long_queue_ids] ? id_form::long_id : id_form::short_id;
    return options;
}

result<spool> spool::open(spool_options options) {
    const int fd = ::open(options.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("open queue directory " + options.root);
    spool opened;
    opened.options_ = std::move(options);
    opened.root_ = std::make_shared<unique_fd>(fd);
    return opened;
}

std::string spool::relative_path(directory which, std::string_view id) const {
    std::string out;
    out.reserve(40);
    out.append(name(which)).append(1, '/');
    if (options_.hashed.test(static_cast<std::size_t>(which)))
        out.append(hash_directories(id, options_.hash_depth));
    out.append(id);
    return out;
}

std::string spool::path(directory which, std::string_view id) const {
    return options_.root + '/' + relative_path(which, id);
}

result<unique_fd> spool::open_file(directory which, std::string_view id, int flags, mode_t mode) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto file = relative_path(which, id);
    for (bool made = false;;) {
        const int fd = ::openat(root_fd(), file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
        if (fd >= 0)
            return unique_fd(fd);
        if (errno == EINTR)
            continue;
        if (errno == EPERM && (flags & O_NOATIME) != 0) { // only the owner and root may
            flags &= ~O_NOATIME;
            continue;
        }
        if (errno == ENOENT && (flags & O_CREAT) != 0 && !made) {
            if (auto done = make_hash_directories(which, id); !done)
                return tl::make_unexpected(done.error());
            made = true;
            continue;
        }
        if (errno == ELOOP || errno == ENXIO || errno == EISDIR)
            return fail(errc::not_regular, file + " is not a regular file");
        return fail_errno("open " + file);
    }
}

result<std::optional<struct stat>> spool::status(directory which, std::string_view id) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto file = relative_path(which, id);
    struct stat found {};
    if (::fstatat(root_fd(), file.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0)
        return found;
    if (errno == ENOENT)
        return std::nullopt;
    return fail_errno("look at " + file);
}

result<void> spool::move(directory from, directory to, std::string_view id) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    return move_file(root_fd(), relative_path(from, id), to, id);
}

result<void> spool::move_file(int directory_fd, const std::string& file, directory to, std::string_view id) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto target = relative_path(to, id);
    if (::renameat(directory_fd, file.c_str(), root_fd(), target.c_str()) == 0)
        return {};
    if (errno == ENOENT && options_.hashed.test(static_cast<std::size_t>(to))) {
        if (auto made = make_hash_directories(to, id); !made)
            return made;
        if (::renameat(directory_fd, file.c_str(), root_fd(), target.c_str()) == 0)
            return {};
    }
    // A directory that is missing must not pass for a message that has gone.
    struct stat still {};
    if (errno == ENOENT)
        errno = ::fstatat(directory_fd, file.c_str(), &still, AT_SYMLINK_NOFOLLOW) == 0 ? ENOTDIR : ENOENT;
    return fail_errno("rename " + file + " to " + target);
}

result<bool> spool::remove(directory which, std::string_view id) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto file = relative_path(which, id);
    if (::unlinkat(root_fd(), file.c_str(), 0) == 0)
        return true;
    if (errno == ENOENT)
        return false;
    return fail_errno("remove " + file);
}

result<void> spool::set_due(directory which, std::string_view id, timeval when) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto file = relative_path(which, id);
    const timespec point{when.tv_sec, when.tv_usec * 1000};
    const std::array<timespec, 2> times = {point, point};
    if (::utimensat(root_fd(), file.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno("set the time of " + file);
    return {};
}

result<void> spool::defer(directory from, std::string_view id, timeval when) const {
    // The time first: a deferred file with the old time would be tried again at once.
    if (auto set = set_due(from, id, when); !set)
        return set;
    return move(from, directory::deferred, id);
}

result<std::optional<spool::place>> spool::find(std::string_view id,
                                                std::initializer_list<directory> queues) const {
    for (const auto which : queues) {
        auto there = status(which, id);
        if (!there)
            return tl::make_unexpected(there.error());
        if (*there)
            return place{which, **there};
    }
    return std::nullopt;
}

namespace detail {
inline result<void> make_directory(int root, const std::string& path, mode_t mode) {
    if (::mkdirat(root, path.c_str(), mode) == 0) {
        // Not subject to the umask.
        if (::fchmodat(root, path.c_str(), mode, 0) != 0)
            return fail_errno("set the mode of " + path);
        return {};
    }
    if (errno == EEXIST)
        return {};
    return fail_errno("create directory " + path);
}
} // namespace detail

result<void> spool::make_hash_directories(directory which, std::string_view id) const {
    if (!is_valid_queue_id(id))
        return fail(errc::bad_id, "invalid queue ID");
    const auto file = relative_path(which, id);
    const auto first = name(which).size() + 1;
    for (auto slash = file.find('/', first); slash != std::string::npos; slash = file.find('/', slash + 1))
        if (auto made = detail::make_directory(root_fd(), file.substr(0, slash), 0700); !made)
            return made;
    return {};
}

result<void> spool::make_directories(std::optional<uid_t> mail_owner, std::optional<gid_t> setgid_group) const {
    const auto make = [&](const std::string& path, mode_t mode, std::optional<uid_t> uid,
                          std::optional<gid_t> gid) -> result<void> {
        struct stat found {};
        if (::fstatat(root_fd(), path.c_str(), &found, 0) == 0)
            return {};
        if (auto made = detail::make_directory(root_fd(), path, mode); !made)
            return made;
        if ((uid || gid) && ::fchownat(root_fd(), path.c_str(), uid.value_or(static_cast<uid_t>(-1)),
                                       gid.value_or(static_cast<gid_t>(-1)), AT_SYMLINK_NOFOLLOW) != 0)
            return fail_errno("set the owner of " + path);
        return {};
    };
    for (std::size_t i = 0; i < directory_count; ++i) {
        const auto which = static_cast<directory>(i);
        const bool drop = which == directory::maildrop;
        if (auto made = make(std::string(name(which)), drop ? 0730 : 0700, mail_owner,
                             drop ? setgid_group : std::nullopt);
            !made)
            return made;
    }
    if (auto made = make("private", 0700, mail_owner, {}); !made)
        return made;
    if (auto made = make("public", 0710, mail_owner, setgid_group); !made)
        return made;
    return make("pid", 0755, {}, {});
}

} // namespace mta::queue
