// How long the lookups of this thread may wait: for a lock, for a server, for a table file that must be opened anew.
//
// A command waits as long as it takes, which is the default. An event loop may not wait at all: within a no_waiting scope
// whatever would wait fails at once and the scope remembers it. The loop drops that outcome and runs the same operation
// again on a pool thread, within limited_waiting. So an operation that meets no wait (nearly all of them) costs no thread,
// and one that does stops nobody; it must be one that can be run twice.
//
// One scope a thread at a time, the innermost counts. No I/O but in lock_patiently().
#pragma once

#include <chrono>
#include <thread>

#include <mta/core/lock.hpp>
#include <mta/core/result.hpp>

namespace mta::table {

namespace detail {
struct patience {
    bool waits = true;
    bool refused = false;
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};
inline thread_local patience this_thread_patience;
} // namespace detail

class patience_scope {
public:
    patience_scope(const patience_scope&) = delete;
    patience_scope& operator=(const patience_scope&) = delete;

protected:
    explicit patience_scope(detail::patience how) : before_(std::exchange(detail::this_thread_patience, how)) {}
    ~patience_scope() { detail::this_thread_patience = before_; }

private:
    detail::patience before_;
};

class no_waiting : public patience_scope {
public:
    no_waiting() : patience_scope({.waits = false, .refused = false, .until = {}}) {}
    // Whether something would have waited since the scope began: what came out of it is no answer.
    [[nodiscard]] static bool refused() noexcept { return detail::this_thread_patience.refused; }
};

// On a pool thread, for locks and for a turn at a table; servers have limits of their own in their tables' parameters.
inline constexpr std::chrono::seconds thread_patience{10};

class limited_waiting : public patience_scope {
public:
    explicit limited_waiting(std::chrono::milliseconds limit)
        : patience_scope({.waits = true, .refused = false, .until = std::chrono::steady_clock::now() + limit}) {}
};

// For tables. Whether this thread may wait; when not, the scope remembers that it was asked.
[[nodiscard]] inline bool may_wait() noexcept {
    auto& mine = detail::this_thread_patience;
    mine.refused |= !mine.waits;
    return mine.waits;
}

// When waiting ends; max() for a thread that waits for ever.
[[nodiscard]] inline std::chrono::steady_clock::time_point waiting_ends() noexcept {
    return detail::this_thread_patience.until;
}

// Takes the lock, waiting as long as this thread may. errc::temporary when it was not to be had.
[[nodiscard]] inline result<void> lock_patiently(int fd, lock_mode mode, lock_style style = lock_style::flock) {
    if (waiting_ends() == std::chrono::steady_clock::time_point::max())
        return wait_lock(fd, mode, style);
    constexpr std::chrono::milliseconds step(10); // no lock call has a time limit of its own
    for (;;) {
        const auto had = try_lock(fd, mode, style);
        if (!had)
            return tl::make_unexpected(had.error());
        if (*had)
            return {};
        if (!may_wait() || std::chrono::steady_clock::now() >= waiting_ends())
            return fail(errc::temporary, "locked by another process");
        std::this_thread::sleep_for(step);
    }
}

} // namespace mta::table
