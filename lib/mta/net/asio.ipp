#include <exception>

#include <boost/asio/steady_timer.hpp>

#include <mta/net/asio.hpp>

namespace mta::net {

namespace {

using clock = std::chrono::steady_clock;

clock::time_point deadline_after(milliseconds limit) {
    // Anything beyond ten years is "never": adding it to now would overflow.
    constexpr auto never = std::chrono::hours(24 * 3650);
    return limit >= never ? clock::time_point::max() : clock::now() + limit;
}

awaitable<void> without_throwing(awaitable<void> session) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(session);
}

struct session_end {
    std::function<void(std::string)> on_end;
    void operator()(std::exception_ptr reason) const {
        std::string text;
        if (reason) {
            try {
                std::rethrow_exception(reason);
            } catch (const std::exception& e) {
                text = e.what();
            } catch (...) {
                text = "unknown exception";
            }
        }
        if (on_end)
            on_end(std::move(text));
    }
};

} // namespace

void spawn(asio::io_context& io, awaitable<void> session, std::function<void(std::string)> on_end) {
    session_end end{std::move(on_end)};
    asio::co_spawn(io, without_throwing(std::move(session)), std::move(end));
}

awaitable<bool> sleep_for(milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, deadline_after(time));
    auto [error] = co_await timer.async_wait(as_result);
    co_return !error;
}

struct event::impl {
    explicit impl(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    bool set = false;
};

event::event(asio::io_context& io) : impl_(std::make_shared<impl>(io)) {}
event::event(event&&) noexcept = default;
event& event::operator=(event&&) noexcept = default;
event::~event() {
    if (impl_)
        impl_->timer.cancel();
}

void event::notify() {
    impl_->set = true;
    impl_->timer.cancel();
}

awaitable<result<void>> event::wait(milliseconds limit) {
    auto self = impl_;
    if (!self->set) {
        self->timer.expires_at(deadline_after(limit));
        auto [error] = co_await self->timer.async_wait(as_result);
        if (!self->set)
            co_return error ? fail(errc::closed) : fail(errc::timeout);
    }
    self->set = false;
    co_return result<void>{};
}

} // namespace mta::net
