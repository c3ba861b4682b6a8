// The file that will take a database's place: a temporary beside it, with the old one's owner and mode, renamed over it
// when it is whole. Builders wait for each other by an exclusive lock on the temporary; a shared one on the old file keeps
// out whoever would change it, and lets its readers go on.
//
// Where the directory may not be written to the old file itself is emptied and written, under its exclusive lock, unless
// its format knows better. What an earlier builder that was killed left behind is taken over.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <utility>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/result.hpp>

namespace mta::table {

// Whether path names this very file.
[[nodiscard]] inline bool stands_at(const std::string& path, int fd) noexcept {
    struct stat ours {};
    struct stat now {};
    return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &now) == 0 && ours.st_ino == now.st_ino && ours.st_dev == now.st_dev;
}

// Opens path and locks it; what stands there afterwards is what is locked.
[[nodiscard]] inline result<unique_fd> open_locked(const std::string& path, int flags, mode_t mode = 0,
                                                   lock_mode how = lock_mode::exclusive,
                                                   lock_style style = lock_style::flock) {
    for (;;) {
        auto fd = open_file(path, flags, mode);
        if (!fd)
            return fd;
        if (auto held = wait_lock(fd->get(), how, style); !held)
            return tl::make_unexpected(held.error());
        // Whoever held the lock may have put another file here.
        if (stands_at(path, fd->get()))
            return fd;
    }
}

// Where the directory may not be written to.
enum class without_room { write_in_place, give_up };

class replacement_file {
public:
    // Waits for other builders of the same database. style is how readers lock the old file.
    [[nodiscard]] static result<replacement_file> start(std::string path, mode_t mode, lock_style style = lock_style::flock,
                                                        without_room otherwise = without_room::write_in_place) {
        replacement_file out;
        out.path_ = followed(std::move(path));
        out.mode_ = mode;
        out.temporary_ = out.path_ + ".new";
        auto fresh = open_locked(out.temporary_, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        out.in_place_ = !fresh && otherwise == without_room::write_in_place && ::access(out.path_.c_str(), F_OK) == 0;
        if (!fresh && !out.in_place_) {
            const bool in_the_way = fresh.error().code == std::errc::is_a_directory ||
                                    fresh.error().code == std::errc::too_many_symbolic_link_levels;
            const auto named = std::exchange(out.temporary_, {});
            return fail(fresh.error().code, "open database " + (in_the_way ? named : out.path_));
        }
        if (fresh)
            out.fresh_ = std::move(*fresh);
        else
            out.temporary_ = out.path_;
        auto old = open_locked(out.path_, O_RDWR, 0, out.in_place_ ? lock_mode::exclusive : lock_mode::shared, style);
        if (!old && (out.in_place_ || old.error().code != std::errc::no_such_file_or_directory))
            return fail(old.error().code, "open " + out.path_);
        if (old)
            out.old_ = std::move(*old);
        if (::ftruncate(out.in_place_ ? out.old_.get() : out.fresh_.get(), 0) != 0)
            return fail_errno("truncate " + out.temporary_);
        return out;
    }
    replacement_file(replacement_file&& other) noexcept
        : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), mode_(other.mode_),
          in_place_(other.in_place_), old_(std::move(other.old_)), fresh_(std::move(other.fresh_)) {}
    replacement_file& operator=(replacement_file&&) = delete;
    ~replacement_file() {
        if (!temporary_.empty() && !in_place_)
            ::unlink(temporary_.c_str());
    }

    // To be written: it exists and is empty.
    [[nodiscard]] const std::string& temporary() const noexcept { return temporary_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    // The temporary is complete and closed: flush it and put it in its place.
    [[nodiscard]] result<void> commit() {
        if (in_place_)
            return ::fsync(old_.get()) == 0 ? result<void>() : result<void>(fail_errno("fsync " + path_));
        struct stat old {};
        if (old_ && ::fstat(old_.get(), &old) == 0) {
            // Who may read a table is its owner's decision, made once.
            if (::geteuid() == 0 && ::fchown(fresh_.get(), old.st_uid, old.st_gid) != 0)
                return fail_errno("set owner of " + temporary_);
            mode_ = old.st_mode & 0777;
        }
        if (::fchmod(fresh_.get(), mode_) != 0)
            return fail_errno("set mode of " + temporary_);
        if (::fsync(fresh_.get()) != 0)
            return fail_errno("fsync " + temporary_);
        if (::rename(temporary_.c_str(), path_.c_str()) != 0)
            return fail_errno("rename " + temporary_ + " to " + path_);
        temporary_.clear();
        fresh_.reset();
        old_.reset();
        return sync_directory(parent_directory(path_));
    }

private:
    replacement_file() = default;

    // A symbolic link stays; what it names is replaced.
    static std::string followed(std::string path) {
        char real[PATH_MAX];
        return ::realpath(path.c_str(), real) == nullptr ? path : std::string(real);
    }

    std::string path_;
    std::string temporary_;
    mode_t mode_ = 0644;
    bool in_place_ = false;
    unique_fd old_;
    unique_fd fresh_;
};

} // namespace mta::table
