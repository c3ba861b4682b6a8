// The master lock: pid/master.pid below the queue directory and master.lock in data_directory, both held exclusively
// while a master runs, each with its process ID right-aligned in 32 columns. The reference takes the same two, so
// that one spool never has two masters.
#pragma once

#include <unistd.h>

#include <sys/stat.h>

#include <cstdio>
#include <string>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/users.hpp>

namespace mta::daemon {

class master_lock {
public:
    // The working directory is queue_directory. owner is who data_directory's file belongs to (root only).
    [[nodiscard]] result<void> take(const std::string& data_directory, const user* owner) {
        if (auto taken = take_one("pid/master.pid", pid_file_, nullptr); !taken)
            return taken;
        if (owner != nullptr) {
            (void)::mkdir(data_directory.c_str(), 0700);
            if (::chown(data_directory.c_str(), owner->uid, owner->gid) != 0)
                return fail_errno("set owner of " + data_directory);
        }
        // The reference insists on a lock file that belongs to mail_owner.
        return take_one(data_directory + "/master.lock", data_file_, owner);
    }

private:
    static result<void> take_one(const std::string& path, unique_fd& into, const user* owner) {
        auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
        if (!fd)
            return fail(fd.error().code, "open lock file " + path);
        auto locked = try_lock(fd->get(), lock_mode::exclusive);
        if (!locked)
            return tl::make_unexpected(locked.error());
        if (!*locked)
            return fail(errc::not_permitted, "open lock file " + path + ": unable to set exclusive lock: "
                                             "the mail system is already running");
        if (owner != nullptr && ::fchown(fd->get(), owner->uid, owner->gid) != 0)
            return fail_errno("set owner of " + path);
        char text[40];
        const int length = std::snprintf(text, sizeof text, "%*ld\n", 32, static_cast<long>(::getpid()));
        if (::ftruncate(fd->get(), 0) != 0 || ::pwrite(fd->get(), text, static_cast<std::size_t>(length), 0) != length)
            return fail_errno("write " + path);
        into = std::move(*fd);
        return {};
    }

    unique_fd pid_file_;
    unique_fd data_file_;
};

} // namespace mta::daemon
