#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <mta/net/connect.hpp>

namespace mta::net {

namespace {

// 0, or the errno of a connection attempt that has ended.
int connect_outcome(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ? errno : error;
}

} // namespace

awaitable<result<stream>> connect(asio::io_context& io, socket_address to, milliseconds limit,
                                  std::optional<socket_address> bind_to) {
    unique_fd fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        co_return fail_errno({});
    if (bind_to && ::bind(fd.get(), bind_to->data(), bind_to->size()) != 0)
        co_return fail_errno("bind " + bind_to->text());
    const int number = fd.get();
    stream made(io, std::move(fd));
    if (::connect(number, to.data(), to.size()) != 0) {
        // EAGAIN is a unix socket whose queue is full: not connecting, so nothing to wait for.
        if (errno != EINPROGRESS && errno != EINTR)
            co_return fail_errno({});
        const auto ended = co_await made.wait_writable(limit);
        if (!ended)
            co_return failure(ended.error());
        if (const int reason = connect_outcome(number); reason != 0)
            co_return fail_errno({}, reason);
    }
    co_return made;
}

result<unique_fd> listen_inet(const socket_address& address, int backlog) {
    unique_fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return fail_errno("socket");
    const int on = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return fail_errno("setsockopt SO_REUSEADDR");
    if (address.family() == AF_INET6 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return fail_errno("setsockopt IPV6_V6ONLY");
    if (::bind(fd.get(), address.data(), address.size()) != 0)
        return fail_errno("bind " + address.text());
    if (::listen(fd.get(), backlog) != 0)
        return fail_errno("listen " + address.text());
    return fd;
}

result<unique_fd> listen_local(const std::string& path, mode_t mode, int backlog) {
    const auto address = socket_address::local(path);
    if (!address)
        return failure(address.error());
    struct stat there;
    if (::lstat(path.c_str(), &there) == 0) {
        if (!S_ISSOCK(there.st_mode))
            return fail(errc::not_permitted, path + ": exists and is not a socket");
        if (::unlink(path.c_str()) != 0)
            return fail_errno("remove " + path);
    }
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return fail_errno("socket");
    if (::bind(fd.get(), address->data(), address->size()) != 0)
        return fail_errno("bind " + path);
    if (::chmod(path.c_str(), mode) != 0)
        return fail_errno("chmod " + path);
    if (::listen(fd.get(), backlog) != 0)
        return fail_errno("listen " + path);
    return fd;
}

struct acceptor::impl {
    explicit impl(asio::io_context& context) : io(context), listener(context), pause(context) {}
    asio::io_context& io;
    asio::posix::stream_descriptor listener;
    asio::steady_timer pause;
    int in_a_row = 0;
    bool closed = false;
};

acceptor::acceptor(asio::io_context& io, unique_fd listener) : impl_(std::make_shared<impl>(io)) {
    boost::system::error_code error;
    impl_->listener.assign(listener.get(), error);
    if (!error) {
        (void)listener.release();
        impl_->listener.native_non_blocking(true, error);
    } else {
        impl_->closed = true;
    }
}

acceptor::acceptor(acceptor&&) noexcept = default;
acceptor& acceptor::operator=(acceptor&& other) noexcept {
    if (this != &other) {
        close();
        on_shortage = std::move(other.on_shortage);
        impl_ = std::move(other.impl_);
    }
    return *this;
}
acceptor::~acceptor() { close(); }

awaitable<result<stream>> acceptor::accept() {
    const auto self = impl_;
    while (self && !self->closed) {
        // A flood of connections must not keep the sessions already accepted from running.
        if (++self->in_a_row > 16) {
            self->in_a_row = 0;
            co_await asio::post(self->io, asio::use_awaitable);
            continue;
        }
        const int fd =
            ::accept4(self->listener.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            co_return stream(self->io, unique_fd(fd));
        const int reason = errno;
        switch (reason) {
        case EAGAIN: {
            self->in_a_row = 0;
            auto [error] = co_await self->listener.async_wait(asio::posix::descriptor_base::wait_read, as_result);
            if (error)
                co_return fail(errc::closed);
            break;
        }
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: {
            if (on_shortage)
                on_shortage(std::generic_category().message(reason));
            self->pause.expires_after(std::chrono::seconds(1));
            auto [error] = co_await self->pause.async_wait(as_result);
            if (error)
                co_return fail(errc::closed);
            break;
        }
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
            co_return fail_errno("accept", reason);
        default:
            break; // the client has gone already, or an error of its network: the next one
        }
    }
    co_return fail(errc::closed);
}

void acceptor::close() noexcept {
    if (!impl_)
        return;
    impl_->closed = true;
    boost::system::error_code ignored;
    impl_->pause.cancel(ignored);
    impl_->listener.close(ignored);
}

} // namespace mta::net
