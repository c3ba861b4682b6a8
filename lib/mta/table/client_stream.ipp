#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include <mta/table/client_stream.hpp>

namespace mta::table {
namespace {

result<void> wait_until(int fd, short events, std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return fail(errc::timeout, "no answer within the time limit");
        pollfd entry{fd, events, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min<long long>(left.count(), 1 << 30)));
        if (ready > 0)
            return {};
        if (ready < 0 && errno != EINTR)
            return fail_errno("poll");
    }
}

result<unique_fd> connect_address(const sockaddr* address, socklen_t size, std::chrono::steady_clock::time_point deadline) {
    unique_fd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return fail_errno("socket");
    if (::connect(fd.get(), address, size) == 0)
        return fd;
    if (errno != EINPROGRESS && errno != EAGAIN)
        return fail_errno("connect");
    if (auto ready = wait_until(fd.get(), POLLOUT, deadline); !ready)
        return tl::make_unexpected(ready.error());
    int trouble = 0;
    socklen_t length = sizeof trouble;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &trouble, &length) != 0 || trouble != 0)
        return fail_errno("connect", trouble == 0 ? errno : trouble);
    return fd;
}

result<unique_fd> connect_network(const server_address& to, const std::string& port,
                                  std::chrono::steady_clock::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* raw = nullptr;
    if (const int code = ::getaddrinfo(to.host.c_str(), port.c_str(), &hints, &raw); code != 0)
        return fail(errc::temporary, ::gai_strerror(code));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(raw, ::freeaddrinfo);
    result<unique_fd> out = fail(errc::temporary, "no address");
    for (const auto* one = list.get(); one != nullptr; one = one->ai_next)
        if (out = connect_address(one->ai_addr, one->ai_addrlen, deadline); out)
            break;
    return out;
}

} // namespace

result<std::unique_ptr<client_stream>> client_stream::open(const server_address& to, const std::string& default_port,
                                                           std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    result<unique_fd> fd = fail(errc::temporary);
    if (to.what == server_address::kind::local) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (to.host.size() >= sizeof address.sun_path)
            return fail(errc::temporary, "connect to " + to.text + ": the name is too long for a socket");
        std::memcpy(address.sun_path, to.host.c_str(), to.host.size() + 1);
        fd = connect_address(reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
    } else {
        fd = connect_network(to, to.port.empty() ? default_port : to.port, deadline);
    }
    if (!fd)
        return fail(fd.error().code, "connect to " + to.text + (fd.error().detail == "connect" ? "" : ": " + fd.error().detail));
    return adopt(std::move(*fd), limit);
}

std::unique_ptr<client_stream> client_stream::adopt(unique_fd fd, std::chrono::milliseconds limit) {
    return std::unique_ptr<client_stream>(new client_stream(std::move(fd), limit));
}

result<void> client_stream::start_question(std::chrono::milliseconds limit) {
    deadline_ = std::chrono::steady_clock::now() + limit;
    char byte = 0;
    const auto got = has_surplus() ? 1 : ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0)
        return fail(errc::closed, "the server closed the connection");
    if (got > 0)
        return fail(errc::malformed, "the server says what nobody asked for");
    return errno == EAGAIN || errno == EINTR ? result<void>() : fail_errno("receive");
}

result<void> client_stream::wait(short events) const { return wait_until(fd_.get(), events, deadline_); }

result<void> client_stream::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            if (auto ready = wait(POLLOUT); !ready)
                return ready;
        } else if (errno != EINTR) {
            return fail_errno("send");
        }
    }
    return {};
}

result<void> client_stream::fill() {
    if (at_ > 0) {
        buffer_.erase(0, at_);
        at_ = 0;
    }
    char chunk[16384];
    for (;;) {
        const auto got = ::recv(fd_.get(), chunk, sizeof chunk, 0);
        if (got > 0) {
            buffer_.append(chunk, static_cast<std::size_t>(got));
            return {};
        }
        if (got == 0)
            return fail(errc::closed, "the server closed the connection");
        if (errno == EAGAIN) {
            if (auto ready = wait(POLLIN); !ready)
                return ready;
        } else if (errno != EINTR) {
            return fail_errno("receive");
        }
    }
}

result<std::string> client_stream::read_until(std::string_view end, std::size_t most) {
    for (;;) {
        const auto found = buffer_.find(end, at_);
        if (found != std::string::npos && found - at_ <= most) {
            auto out = buffer_.substr(at_, found - at_);
            at_ = found + end.size();
            return out;
        }
        if (found != std::string::npos || buffer_.size() - at_ > most + end.size())
            return fail(errc::too_large, "the answer is longer than " + std::to_string(most) + " bytes");
        if (auto more = fill(); !more)
            return tl::make_unexpected(more.error());
    }
}

result<std::string> client_stream::read_bytes(std::size_t count) {
    while (buffer_.size() - at_ < count)
        if (auto more = fill(); !more)
            return tl::make_unexpected(more.error());
    auto out = buffer_.substr(at_, count);
    at_ += count;
    return out;
}

} // namespace mta::table
