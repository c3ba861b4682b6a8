// The names of Boost.Asio that coroutines of this project use.
//
// Only the light headers of Asio are included: sockets and timers stay inside the .ipp files of this area.
// One thread runs one io_context; nothing here is locked. A socket error is never an exception: operations are
// awaited with as_result, and the classes of this area turn what they see into mta::result.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <mta/core/result.hpp>

// g++ 12 takes the allocation of a coroutine frame by Asio for a mismatched pair once both are inlined. The warning is
// raised where the coroutine ends, so it has to be off in every file that includes this one.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace mta {
namespace asio = boost::asio;
}

namespace mta::net {

using boost::asio::awaitable;
using std::chrono::milliseconds;

// The completion token for Asio's own operations: errors come back as values beside the result.
inline constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable);

// A limit that never passes.
inline constexpr milliseconds no_limit = milliseconds::max();

// Starts session on io, detached. on_end is called once, on the loop, when it has ended: with an empty string,
// or with the text of the exception that ended it (out of memory; anything else is a bug). It may be empty.
void spawn(boost::asio::io_context& io, awaitable<void> session, std::function<void(std::string)> on_end = {});

// Waits. false when the wait was cancelled.
[[nodiscard]] awaitable<bool> sleep_for(milliseconds time);

// One-shot or repeated wake-up between coroutines of the same loop.
//
// Not thread-safe: from another thread, asio::post(io, ...) a call of notify(). At most one coroutine waits.
class event {
public:
    explicit event(boost::asio::io_context& io);
    event(event&&) noexcept;
    event& operator=(event&&) noexcept;
    ~event();

    // Wakes the waiter; without one, the next wait returns at once. Several calls before a wait count as one.
    void notify();

    // errc::timeout when limit passed, errc::closed when the coroutine was cancelled.
    [[nodiscard]] awaitable<result<void>> wait(milliseconds limit = no_limit);

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

} // namespace mta::net
