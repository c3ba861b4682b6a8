// A bounded pool of threads for what may block (fsync, database lookups), awaited from coroutines.
//
// A job owns its inputs: it runs to its end even when the coroutine that asked has left, and its late result is
// dropped. At most `queue_limit` jobs wait; one more is refused with errc::temporary, so that a dead disk or
// database costs a deferral and not memory.
//
// Jobs run on other threads: they touch nothing of the loop. A job that throws gives errc::temporary.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <mta/net/asio.hpp>

namespace mta::net {

class pool {
public:
    // Threads are started as jobs need them, up to `threads`.
    pool(boost::asio::io_context& io, std::size_t threads, std::size_t queue_limit);
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    // Drops waiting jobs and waits for running ones.
    ~pool();

    // Runs job, a callable that returns result<T>, on a pool thread and returns what it returned.
    // errc::timeout when limit passed first, errc::closed when the coroutine was cancelled.
    //
    // g++ 12: pass a named job, `auto job = [..]{..}; co_await pool.run(std::move(job))`, never a lambda temporary.
    template <class Job>
    [[nodiscard]] awaitable<std::invoke_result_t<Job&>> run(Job job, milliseconds limit = no_limit) {
        using outcome = std::invoke_result_t<Job&>;
        struct state {
            explicit state(Job&& j) : job(std::move(j)) {}
            Job job;
            std::optional<outcome> value;
        };
        auto shared = std::make_shared<state>(std::move(job));
        std::function<void()> work = [shared] { shared->value.emplace(shared->job()); };
        result<void> ran = co_await run_job(std::move(work), limit);
        if (!ran)
            co_return failure(ran.error());
        co_return std::move(*shared->value);
    }

    // Runs job without waiting for it; false when the pool is full.
    [[nodiscard]] bool start(std::function<void()> job);

    [[nodiscard]] std::size_t waiting() const;

private:
    [[nodiscard]] awaitable<result<void>> run_job(std::function<void()> job, milliseconds limit);

    struct impl;
    std::shared_ptr<impl> impl_;
};

} // namespace mta::net
