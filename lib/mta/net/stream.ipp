#include <algorithm>
#include <array>
#include <cassert>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <mta/net/stream.hpp>

namespace mta::net {

struct stream::impl : std::enable_shared_from_this<stream::impl> {
    explicit impl(asio::io_context& io) : socket(io), timer(io) {}

    asio::generic::stream_protocol::socket socket;
    asio::steady_timer timer;
    clock::time_point read_deadline = clock::time_point::max();
    clock::time_point write_deadline = clock::time_point::max();
    clock::time_point armed_for = clock::time_point::max();
    // After a read that filled its buffer more is likely there: read it without a turn of the loop, but not for ever.
    int eager_reads = 0;
    bool stopped = false;
    bool expired = false;

    // Sets one of the two deadlines. The timer is touched only when it would fire too late.
    void arm(clock::time_point& which, clock::time_point deadline) {
        which = deadline;
        if (deadline < armed_for)
            wait_until(deadline);
    }

    void wait_until(clock::time_point deadline) {
        armed_for = deadline;
        timer.expires_at(deadline);
        timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
            if (!error)
                self->fired();
        });
    }

    void fired() {
        armed_for = clock::time_point::max();
        if (!socket.is_open())
            return;
        const auto first = std::min(read_deadline, write_deadline);
        if (first == clock::time_point::max())
            return;
        if (first > clock::now()) {
            wait_until(first);
            return;
        }
        expired = true;
        boost::system::error_code ignored;
        socket.cancel(ignored);
    }

    failure failed(const boost::system::error_code& error) const {
        if (error == asio::error::eof)
            return fail(errc::closed);
        if (error == asio::error::operation_aborted)
            return fail(expired ? errc::timeout : errc::closed);
        return fail_errno({}, error.value());
    }

    // One sendmsg; bytes taken, 0 when the socket is full.
    result<std::size_t> send(std::span<iovec> pieces) {
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = pieces.size();
        for (;;) {
            const ssize_t sent = ::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent >= 0)
                return static_cast<std::size_t>(sent);
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return std::size_t{0};
            if (errno != EINTR)
                return fail_errno({});
        }
    }

    void close() noexcept {
        boost::system::error_code ignored;
        timer.cancel(ignored);
        socket.close(ignored);
    }
};

stream::stream() noexcept = default;

stream::stream(asio::io_context& io, unique_fd socket) : impl_(std::make_shared<impl>(io)) {
    sockaddr_storage name;
    socklen_t size = sizeof name;
    int family = AF_INET;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0)
        family = name.ss_family;
    boost::system::error_code error;
    impl_->socket.assign(asio::generic::stream_protocol(family, 0), socket.get(), error);
    if (error)
        impl_.reset(); // a descriptor that cannot be polled: an unopened stream says so at its first use
    else
        (void)socket.release();
}

stream::stream(stream&&) noexcept = default;

stream& stream::operator=(stream&& other) noexcept {
    if (this != &other) {
        close();
        impl_ = std::move(other.impl_);
    }
    return *this;
}

stream::~stream() { close(); }

bool stream::is_open() const noexcept { return impl_ && impl_->socket.is_open(); }

awaitable<result<std::size_t>> stream::read_some(char* data, std::size_t size, milliseconds limit) {
    assert(size > 0);
    const auto self = impl_;
    if (!self || self->stopped || self->expired || !self->socket.is_open())
        co_return fail(self && self->expired ? errc::timeout : errc::closed);
    if (self->eager_reads > 0) {
        --self->eager_reads;
        const ssize_t got = ::recv(self->socket.native_handle(), data, size, MSG_DONTWAIT);
        if (got > 0)
            co_return static_cast<std::size_t>(got);
        if (got == 0)
            co_return fail(errc::closed);
        self->eager_reads = 0;
    }
    self->arm(self->read_deadline, deadline_after(limit));
    auto [error, got] = co_await self->socket.async_read_some(asio::buffer(data, size), as_result);
    self->read_deadline = clock::time_point::max();
    if (error)
        co_return self->failed(error);
    if (got == size)
        self->eager_reads = 16;
    co_return got;
}

awaitable<result<void>> stream::write(std::string_view bytes, milliseconds limit) {
    std::span<const std::string_view> one(&bytes, 1);
    co_return co_await write(one, limit);
}

awaitable<result<void>> stream::write(std::span<const std::string_view> pieces, milliseconds limit) {
    assert(pieces.size() <= 64);
    const auto self = impl_;
    if (!self || self->stopped || self->expired || !self->socket.is_open())
        co_return fail(self && self->expired ? errc::timeout : errc::closed);
    std::array<iovec, 64> vectors;
    std::size_t count = 0;
    for (const auto& piece : pieces)
        if (!piece.empty())
            vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    std::span<iovec> rest(vectors.data(), count);
    bool armed = false;
    while (!rest.empty()) {
        result<std::size_t> sent = self->send(rest);
        if (!sent)
            co_return failure(sent.error());
        if (*sent == 0) {
            if (!armed)
                self->arm(self->write_deadline, deadline_after(limit));
            armed = true;
            auto [error, taken] = co_await self->socket.async_write_some(
                asio::buffer(rest.front().iov_base, rest.front().iov_len), as_result);
            if (error) {
                self->write_deadline = clock::time_point::max();
                co_return self->failed(error);
            }
            sent = taken;
        }
        std::size_t taken = *sent;
        while (!rest.empty() && taken >= rest.front().iov_len) {
            taken -= rest.front().iov_len;
            rest = rest.subspan(1);
        }
        if (taken > 0) {
            rest.front().iov_base = static_cast<char*>(rest.front().iov_base) + taken;
            rest.front().iov_len -= taken;
        }
    }
    self->write_deadline = clock::time_point::max();
    co_return result<void>{};
}

result<std::size_t> stream::try_write(std::string_view bytes) {
    if (!is_open() || impl_->stopped)
        return fail(errc::closed);
    iovec one{const_cast<char*>(bytes.data()), bytes.size()};
    return impl_->send(std::span<iovec>(&one, 1));
}

awaitable<result<void>> stream::wait_readable(milliseconds limit) {
    const auto self = impl_;
    if (!self || self->stopped || self->expired || !self->socket.is_open())
        co_return fail(self && self->expired ? errc::timeout : errc::closed);
    if (readable_now())
        co_return result<void>{};
    self->arm(self->read_deadline, deadline_after(limit));
    auto [error] = co_await self->socket.async_wait(asio::socket_base::wait_read, as_result);
    self->read_deadline = clock::time_point::max();
    if (error)
        co_return self->failed(error);
    co_return result<void>{};
}

awaitable<result<void>> stream::wait_writable(milliseconds limit) {
    const auto self = impl_;
    if (!self || self->stopped || self->expired || !self->socket.is_open())
        co_return fail(self && self->expired ? errc::timeout : errc::closed);
    pollfd one{self->socket.native_handle(), POLLOUT, 0};
    if (::poll(&one, 1, 0) > 0)
        co_return result<void>{};
    self->arm(self->write_deadline, deadline_after(limit));
    auto [error] = co_await self->socket.async_wait(asio::socket_base::wait_write, as_result);
    self->write_deadline = clock::time_point::max();
    if (error)
        co_return self->failed(error);
    co_return result<void>{};
}

void stream::send_at_once() noexcept {
    const int on = 1;
    if (is_open())
        ::setsockopt(impl_->socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool stream::readable_now() const noexcept {
    if (!is_open())
        return true;
    pollfd one{impl_->socket.native_handle(), POLLIN, 0};
    return ::poll(&one, 1, 0) > 0;
}

void stream::cancel() noexcept {
    if (!impl_)
        return;
    impl_->stopped = true;
    boost::system::error_code ignored;
    impl_->socket.cancel(ignored);
}

void stream::shutdown_write() noexcept {
    if (is_open())
        ::shutdown(impl_->socket.native_handle(), SHUT_WR);
}

void stream::close() noexcept {
    if (impl_) {
        impl_->stopped = true;
        impl_->close();
    }
}

unique_fd stream::release() {
    if (!is_open())
        return unique_fd();
    boost::system::error_code error;
    const int fd = impl_->socket.release(error);
    impl_->stopped = true;
    impl_->timer.cancel(error);
    return unique_fd(fd);
}

int stream::native_handle() const noexcept { return is_open() ? impl_->socket.native_handle() : -1; }

socket_address stream::peer() const { return socket_address::peer_of(native_handle()).value_or(socket_address{}); }

socket_address stream::local() const { return socket_address::local_of(native_handle()).value_or(socket_address{}); }

} // namespace mta::net
