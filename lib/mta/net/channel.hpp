// Messages between two of our own processes over a stream socket pair.
//
// A frame is a 4-byte big-endian length and that many bytes, at most 16 MiB. Sends are queued and written
// together once per turn of the loop; nobody waits for them unless it wants to (drained()).
//
// The peer is our own process, but a frame over the limit still ends the channel (errc::too_large).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <mta/core/unique_fd.hpp>
#include <mta/net/asio.hpp>

namespace mta::net {

class channel {
public:
    static constexpr std::size_t max_message = std::size_t{16} << 20;

    // Takes over one end of a connected stream socket.
    channel(boost::asio::io_context& io, unique_fd socket);
    channel(channel&&) noexcept;
    channel& operator=(channel&&) noexcept;
    ~channel();

    // Queues message. Silently dropped when the channel is broken: receive() tells. One over max_message breaks it: both
    // ends then know that something was not said.
    void send(std::string message);

    // The next message. errc::closed at end of file or after close(); any error is final.
    [[nodiscard]] awaitable<result<std::string>> receive(milliseconds limit = no_limit);

    // False once sends are dropped: the peer is gone, or close() was called.
    [[nodiscard]] bool is_open() const noexcept;

    // Bytes queued and not yet taken by the kernel: the sender's measure for holding back.
    [[nodiscard]] std::size_t queued() const noexcept;
    // Waits until at most `level` bytes are queued. One waiter at a time.
    [[nodiscard]] awaitable<result<void>> drained(std::size_t level = 0, milliseconds limit = no_limit);

    // Another descriptor of the socket, to watch it for a hang-up; invalid when there is none to be had.
    [[nodiscard]] unique_fd duplicate() const;

    // Writes what is queued now if the socket takes it, then closes. Ends a waiting receive() with errc::closed.
    void close() noexcept;

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

// A connected pair of stream sockets, close-on-exec.
[[nodiscard]] result<std::pair<unique_fd, unique_fd>> socket_pair();

} // namespace mta::net
