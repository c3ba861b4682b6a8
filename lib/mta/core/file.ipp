#include <sys/stat.h>
#include <unistd.h>

#include <mta/core/file.hpp>

namespace mta {

result<unique_fd> open_file(const std::string& path, int flags, mode_t mode) {
    for (;;) {
        unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
        if (fd)
            return fd;
        if (errno != EINTR)
            return fail_errno("open " + path);
    }
}

result<std::string> read_file(const std::string& path, std::size_t limit) {
    auto fd = open_file(path, O_RDONLY);
    if (!fd)
        return tl::make_unexpected(fd.error());
    struct stat status {};
    std::string out;
    if (::fstat(fd->get(), &status) == 0 && status.st_size > 0)
        out.reserve(std::min(limit, static_cast<std::size_t>(status.st_size)) + 1);
    for (;;) {
        const auto used = out.size();
        const std::size_t room = std::max<std::size_t>(out.capacity() - used, 16384);
        out.resize(used + room);
        const auto got = ::read(fd->get(), out.data() + used, room);
        out.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got < 0 && errno != EINTR)
            return fail_errno("read " + path);
        if (got == 0)
            return out;
        if (out.size() > limit)
            return fail(errc::too_large, path + ": file is larger than " + std::to_string(limit) + " bytes");
    }
}

result<void> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto wrote = ::write(fd, bytes.data(), bytes.size());
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return fail_errno("write");
        bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return {};
}

result<void> sync_directory(const std::string& path) {
    auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!fd)
        return tl::make_unexpected(fd.error());
    if (::fsync(fd->get()) != 0)
        return fail_errno("fsync " + path);
    return {};
}

std::string parent_directory(std::string_view path) {
    const auto slash = path.rfind('/');
    if (slash == std::string_view::npos)
        return ".";
    return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode, file_owner owner) {
    const std::string temporary = path + ".tmp" + std::to_string(::getpid());
    auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!fd && fd.error().code == std::errc::file_exists) {
        // Left by a process of the same number that was killed.
        ::unlink(temporary.c_str());
        fd = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    }
    if (!fd)
        return tl::make_unexpected(fd.error());
    const auto give_up = [&](failure reason) -> result<void> {
        ::unlink(temporary.c_str());
        return reason;
    };
    if (auto written = write_all(fd->get(), bytes); !written)
        return give_up(fail(written.error().code, "write " + temporary));
    if ((owner.uid != static_cast<uid_t>(-1) || owner.gid != static_cast<gid_t>(-1)) &&
        ::fchown(fd->get(), owner.uid, owner.gid) != 0)
        return give_up(fail_errno("set owner of " + temporary));
    if (::fchmod(fd->get(), mode) != 0)
        return give_up(fail_errno("set mode of " + temporary));
    if (::fsync(fd->get()) != 0)
        return give_up(fail_errno("fsync " + temporary));
    if (auto closed = fd->close(); !closed)
        return give_up(failure(closed.error()));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return give_up(fail_errno("rename " + temporary + " to " + path));
    return sync_directory(parent_directory(path));
}

} // namespace mta
