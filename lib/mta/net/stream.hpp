// A connected stream socket (TCP or unix) with deadlines, for coroutines.
//
// One concrete type for every session, so that no session is a template. Each operation has a limit; the clock
// behind it is one lazily re-armed timer per stream, so that a limit costs no system call and no allocation per
// read. Writes go out at once when the socket takes them; only what it refuses is waited for.
//
// No framing, no buffering, no TLS yet. One coroutine at a time may read and one may write.
//
// Errors: errc::timeout (limit passed), errc::closed (end of file on read, or cancel() or cancellation of the
// coroutine), else the system's error (connection reset and so on). After errc::timeout or errc::closed the only
// sensible thing is to close.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <mta/core/unique_fd.hpp>
#include <mta/net/asio.hpp>
#include <mta/net/socket_address.hpp>

namespace mta::net {

class stream {
public:
    stream() noexcept; // not open
    // Takes over a connected socket of any kind. It is made non-blocking.
    stream(boost::asio::io_context& io, unique_fd socket);
    stream(stream&&) noexcept;
    stream& operator=(stream&&) noexcept;
    ~stream();

    [[nodiscard]] bool is_open() const noexcept;

    // Reads what is there, at least one byte. End of file is errc::closed.
    [[nodiscard]] awaitable<result<std::size_t>> read_some(char* data, std::size_t size, milliseconds limit);

    // Writes all of it; limit is for the whole call. bytes must stay valid until it returns.
    [[nodiscard]] awaitable<result<void>> write(std::string_view bytes, milliseconds limit);
    // The same from several pieces (at most 64) in as few segments as possible.
    [[nodiscard]] awaitable<result<void>> write(std::span<const std::string_view> pieces, milliseconds limit);

    // Writes without waiting: how many bytes the socket took, 0 when it is full.
    [[nodiscard]] result<std::size_t> try_write(std::string_view bytes);

    // Waits until there is something to read (data or end of file) without reading it.
    [[nodiscard]] awaitable<result<void>> wait_readable(milliseconds limit);
    // Waits until the socket takes bytes, which is also how a connection in progress ends.
    [[nodiscard]] awaitable<result<void>> wait_writable(milliseconds limit);
    // Without waiting: whether bytes or an end of file are there now (a kept session must have neither).
    [[nodiscard]] bool readable_now() const noexcept;

    // Small pieces leave at once (TCP_NODELAY); for a sender of several writes without an answer between them.
    void send_at_once() noexcept;

    // Ends pending operations, and every later one at once, with errc::closed. Callable from another coroutine.
    void cancel() noexcept;
    // Sends FIN; reading goes on.
    void shutdown_write() noexcept;
    void close() noexcept;
    // Gives the descriptor away; the stream is then not open.
    [[nodiscard]] unique_fd release();

    // -1 when not open.
    [[nodiscard]] int native_handle() const noexcept;
    [[nodiscard]] socket_address peer() const;
    [[nodiscard]] socket_address local() const;

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

} // namespace mta::net
