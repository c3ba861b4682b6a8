#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include <mta/core/local_socket.hpp>

namespace mta {
namespace {

result<sockaddr_un> local_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(std::make_error_code(std::errc::filename_too_long), path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

result<void> wait_for(int fd, short events, std::chrono::milliseconds limit) {
    pollfd entry{fd, events, 0};
    for (;;) {
        const int ready = ::poll(&entry, 1, static_cast<int>(limit.count()));
        if (ready > 0)
            return {};
        if (ready == 0)
            return fail(errc::timeout, "no answer within the time limit");
        if (errno != EINTR)
            return fail_errno("poll");
    }
}

} // namespace

result<unique_fd> connect_local(const std::string& path, std::chrono::milliseconds limit) {
    const auto address = local_address(path);
    if (!address)
        return tl::make_unexpected(address.error());
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd)
        return fail_errno("socket");
    // A full backlog blocks connect(); the send timeout bounds that wait too (socket(7)).
    const timeval bound{limit.count() / 1000, static_cast<suseconds_t>(limit.count() % 1000 * 1000)};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
        if (errno != EINTR)
            return fail_errno("connect to " + path);
    return fd;
}

result<unique_fd> listen_local(const std::string& path, unsigned mode, int backlog) {
    const auto address = local_address(path);
    if (!address)
        return tl::make_unexpected(address.error());
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return fail_errno("socket");
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail_errno("remove " + path);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
        return fail_errno("bind " + path);
    if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0)
        return fail_errno("set mode of " + path);
    if (::listen(fd.get(), backlog) != 0)
        return fail_errno("listen " + path);
    return fd;
}

result<void> wait_readable(int fd, std::chrono::milliseconds limit) { return wait_for(fd, POLLIN, limit); }

result<void> send_all(int fd, std::string_view bytes, std::chrono::milliseconds limit) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return fail_errno("send");
        if (auto ready = wait_for(fd, POLLOUT, limit); !ready)
            return ready;
    }
    return {};
}

result<std::size_t> receive_some(int fd, char* into, std::size_t room, std::chrono::milliseconds limit) {
    for (;;) {
        if (auto ready = wait_readable(fd, limit); !ready)
            return tl::make_unexpected(ready.error());
        const auto got = ::read(fd, into, room);
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR && errno != EAGAIN)
            return fail_errno("receive");
    }
}

result<void> send_with_fds(int fd, std::string_view bytes, std::span<const int> fds) {
    if (fds.size() > max_message_fds)
        return fail(errc::too_large, "more than " + std::to_string(max_message_fds) + " descriptors in one message");
    if (bytes.size() > max_message_bytes)
        return fail(errc::too_large, "more than " + std::to_string(max_message_bytes) + " bytes in one message");
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(max_message_fds * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    for (;;) {
        const auto sent = ::sendmsg(fd, &header, MSG_NOSIGNAL);
        if (sent == static_cast<ssize_t>(bytes.size()))
            return {};
        if (sent >= 0)
            return fail(errc::truncated, "short send");
        if (errno == EAGAIN) {
            if (auto ready = wait_for(fd, POLLOUT, std::chrono::milliseconds(10000)); !ready)
                return ready;
        } else if (errno != EINTR) {
            return fail_errno("send");
        }
    }
}

result<message_with_fds> receive_with_fds(int fd) {
    message_with_fds message;
    message.bytes.resize(max_message_bytes);
    iovec piece{message.bytes.data(), message.bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(max_message_fds * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t got = 0;
    while ((got = ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return fail_errno("receive");
    for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr; entry = CMSG_NXTHDR(&header, entry)) {
        if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(entry) + i * sizeof(int), sizeof received);
            message.fds.emplace_back(received);
        }
    }
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return fail(errc::truncated, "a message with more bytes or descriptors than can be taken");
    message.bytes.resize(static_cast<std::size_t>(got));
    return message;
}

result<std::pair<unique_fd, unique_fd>> socket_pair(int type) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno("socketpair");
    return std::pair(unique_fd(ends[0]), unique_fd(ends[1]));
}

} // namespace mta
