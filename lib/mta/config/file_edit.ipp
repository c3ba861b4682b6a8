// Bodies of file_edit.hpp.
#include <mta/config/file_edit.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>

namespace mta::config {

result<file_edit> file_edit::begin(const std::string& path) {
    file_edit out;
    const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr), &std::free);
    out.path_ = target ? target.get() : path;
    if (auto done = out.take_lock(); !done)
        return tl::make_unexpected(done.error());
    if (auto done = out.read(); !done)
        return tl::make_unexpected(done.error());
    return out;
}

// Another process may rename or remove the file between our open and our lock: then the lock is on a file without that
// name, and the next one is tried.
result<void> file_edit::take_lock() {
    const auto name = path_ + ".tmp";
    for (;;) {
        auto fd = open_file(name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (!fd)
            return tl::make_unexpected(fd.error());
        if (auto done = wait_lock(fd->get(), lock_mode::exclusive); !done)
            return done;
        struct stat opened {};
        struct stat named {};
        if (::fstat(fd->get(), &opened) != 0)
            return fail_errno("stat " + name);
        const bool same = ::lstat(name.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
                          named.st_dev == opened.st_dev;
        if (!same)
            continue;
        if (!S_ISREG(opened.st_mode) || opened.st_nlink > 1)
            return fail(errc::not_permitted, name + " is not a file of its own: remove it");
        lock_ = std::move(*fd);
        temporary_ = name;
        if (::ftruncate(lock_.get(), 0) != 0)
            return fail_errno("truncate " + name);
        return {};
    }
}

result<void> file_edit::read() {
    struct stat info {};
    const auto fd = open_file(path_, O_RDONLY);
    if (!fd)
        return tl::make_unexpected(fd.error());
    if (::fstat(fd->get(), &info) != 0)
        return fail_errno("stat " + path_);
    auto text = read_file(path_);
    if (!text)
        return tl::make_unexpected(text.error());
    text_ = std::move(*text);
    mode_ = info.st_mode & 07777U;
    uid_ = info.st_uid;
    gid_ = info.st_gid;
    return {};
}

result<void> file_edit::commit(std::string_view bytes) {
    if (bytes == text_)
        return {};
    if (auto done = write_all(lock_.get(), bytes); !done)
        return fail(done.error().code, "write " + temporary_);
    struct stat info {};
    if (::fstat(lock_.get(), &info) != 0)
        return fail_errno("stat " + temporary_);
    if ((info.st_uid != uid_ || info.st_gid != gid_) && ::fchown(lock_.get(), uid_, gid_) != 0)
        return fail_errno("set owner of " + temporary_);
    if (::fchmod(lock_.get(), mode_) != 0)
        return fail_errno("set mode of " + temporary_);
    if (::fsync(lock_.get()) != 0)
        return fail_errno("fsync " + temporary_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
        return fail_errno("rename " + temporary_ + " to " + path_);
    temporary_.clear();
    return sync_directory(parent_directory(path_));
}

file_edit::~file_edit() {
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

} // namespace mta::config
