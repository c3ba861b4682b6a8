#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

#include <mta/net/channel.hpp>
#include <mta/net/stream.hpp>

namespace mta::net {

struct channel::impl : std::enable_shared_from_this<channel::impl> {
    impl(asio::io_context& context, unique_fd socket) : io(context), peer(context, std::move(socket)), emptier(context) {}

    asio::io_context& io;
    stream peer;
    event emptier;
    std::string out;     // framed, not yet handed to the writer
    std::string writing; // what the writer coroutine is at
    std::vector<char> chunk = std::vector<char>(65536);
    std::string in;
    std::size_t in_used = 0;
    std::size_t drain_level = 0;
    bool flush_posted = false;
    bool writer_running = false;
    bool broken = false;

    void post_flush() {
        if (flush_posted || writer_running || broken)
            return;
        flush_posted = true;
        asio::post(io, [self = shared_from_this()] {
            self->flush_posted = false;
            self->flush();
        });
    }

    void flush() {
        if (writer_running || broken || out.empty())
            return;
        const auto sent = peer.try_write(out);
        if (!sent) {
            stop();
            return;
        }
        if (*sent == out.size()) {
            out.clear();
            emptier.notify();
            return;
        }
        out.erase(0, *sent);
        writer_running = true;
        spawn(io, write_rest(shared_from_this()));
    }

    static awaitable<void> write_rest(std::shared_ptr<impl> self) {
        while (!self->out.empty() && !self->broken) {
            self->writing.clear();
            self->writing.swap(self->out);
            const auto written = co_await self->peer.write(self->writing, no_limit);
            if (!written)
                self->stop();
            self->writing.clear();
            self->emptier.notify();
        }
        self->writing.shrink_to_fit();
        self->writer_running = false;
    }

    void stop() {
        broken = true;
        out.clear();
        emptier.notify();
    }

    std::size_t queued() const { return out.size() + writing.size(); }

    // The next whole frame in the input, empty when more bytes are needed.
    result<bool> next_frame(std::string& message) {
        const std::string_view have = std::string_view(in).substr(in_used);
        if (have.size() < 4)
            return false;
        std::size_t size = 0;
        for (std::size_t i = 0; i < 4; ++i)
            size = size << 8 | static_cast<unsigned char>(have[i]);
        if (size > max_message)
            return fail(errc::too_large, "message of " + std::to_string(size) + " bytes between processes");
        if (have.size() < 4 + size)
            return false;
        message.assign(have.substr(4, size));
        in_used += 4 + size;
        if (in_used == in.size()) {
            in.clear();
            in_used = 0;
        }
        return true;
    }
};

channel::channel(asio::io_context& io, unique_fd socket) : impl_(std::make_shared<impl>(io, std::move(socket))) {}
channel::channel(channel&&) noexcept = default;
channel& channel::operator=(channel&& other) noexcept {
    if (this != &other) {
        close();
        impl_ = std::move(other.impl_);
    }
    return *this;
}
channel::~channel() { close(); }

void channel::send(std::string message) {
    if (impl_->broken)
        return;
    if (message.size() > max_message) {
        close();
        return;
    }
    const auto size = static_cast<std::uint32_t>(message.size());
    const char head[4] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                          static_cast<char>(size)};
    impl_->out.append(head, 4);
    impl_->out += message;
    impl_->post_flush();
}

awaitable<result<std::string>> channel::receive(milliseconds limit) {
    const auto self = impl_;
    std::string message;
    for (;;) {
        const result<bool> whole = self->next_frame(message);
        if (!whole) {
            self->stop();
            co_return failure(whole.error());
        }
        if (*whole)
            co_return message;
        if (self->in_used > 0) {
            self->in.erase(0, self->in_used);
            self->in_used = 0;
        }
        const auto got = co_await self->peer.read_some(self->chunk.data(), self->chunk.size(), limit);
        if (got) {
            self->in.append(self->chunk.data(), *got);
        } else {
            if (got.error().code != errc::timeout)
                self->stop();
            co_return failure(got.error());
        }
    }
}

unique_fd channel::duplicate() const {
    return unique_fd(::fcntl(impl_->peer.native_handle(), F_DUPFD_CLOEXEC, 0));
}

bool channel::is_open() const noexcept { return impl_ && !impl_->broken; }

std::size_t channel::queued() const noexcept { return impl_->queued(); }

awaitable<result<void>> channel::drained(std::size_t level, milliseconds limit) {
    const auto self = impl_;
    while (self->queued() > level) {
        const auto woken = co_await self->emptier.wait(limit);
        if (!woken)
            co_return failure(woken.error());
    }
    co_return self->broken ? result<void>(fail(errc::closed)) : result<void>{};
}

void channel::close() noexcept {
    if (!impl_)
        return;
    impl_->flush();
    impl_->stop();
    impl_->peer.close();
}

result<std::pair<unique_fd, unique_fd>> socket_pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return fail_errno("socketpair");
    return std::pair<unique_fd, unique_fd>(unique_fd(fds[0]), unique_fd(fds[1]));
}

} // namespace mta::net
