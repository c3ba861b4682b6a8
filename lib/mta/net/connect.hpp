// Opens outgoing connections and listening sockets; accepts.
//
// Every descriptor is close-on-exec and non-blocking. No name is looked up here.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include <mta/core/unique_fd.hpp>
#include <mta/net/asio.hpp>
#include <mta/net/socket_address.hpp>
#include <mta/net/stream.hpp>

namespace mta::net {

// Connects to a TCP or unix stream address, from the address bind_to when given (its port is normally 0).
// errc::timeout when limit passed, else the system's error with an empty detail (code.message() is then
// "Connection refused" and the like).
[[nodiscard]] awaitable<result<stream>> connect(boost::asio::io_context& io, socket_address to, milliseconds limit,
                                                std::optional<socket_address> bind_to = std::nullopt);

// A listening TCP socket: SO_REUSEADDR, for an IPv6 address IPV6_V6ONLY.
[[nodiscard]] result<unique_fd> listen_inet(const socket_address& address, int backlog);
// A listening unix socket. A stale socket file at path is removed first (anything else there is an error).
[[nodiscard]] result<unique_fd> listen_local(const std::string& path, mode_t mode, int backlog);

// Accepts from a listening socket, one this process made or one it inherited; others may accept from it too.
class acceptor {
public:
    // Takes the descriptor over.
    acceptor(boost::asio::io_context& io, unique_fd listener);
    acceptor(acceptor&&) noexcept;
    acceptor& operator=(acceptor&&) noexcept;
    ~acceptor();

    // The next connection. Never spins: when descriptors or memory run out it waits a second and tries again,
    // having called on_shortage (if any) with the reason. errc::closed after close() or cancellation.
    [[nodiscard]] awaitable<result<stream>> accept();
    std::function<void(const std::string&)> on_shortage;

    // Ends accept() with errc::closed.
    void close() noexcept;

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

} // namespace mta::net
