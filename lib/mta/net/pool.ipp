#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include <mta/net/pool.hpp>

namespace mta::net {

struct pool::impl {
    impl(asio::io_context& context, std::size_t most, std::size_t limit)
        : io(context), max_threads(most), queue_limit(limit) {}

    asio::io_context& io;
    const std::size_t max_threads;
    const std::size_t queue_limit;
    mutable std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::function<void()>> jobs;
    std::vector<std::thread> threads;
    std::size_t idle = 0;
    bool stopping = false;

    bool add(std::function<void()> job) {
        {
            const std::lock_guard lock(mutex);
            if (jobs.size() >= queue_limit)
                return false;
            jobs.push_back(std::move(job));
            if (idle < jobs.size()) {
                // A busy thread takes the job when it has ended its own.
                if (threads.size() < max_threads)
                    threads.emplace_back([this] { work(); });
                return true;
            }
        }
        ready.notify_one(); // without the lock, which the thread that wakes needs first
        return true;
    }

    void work() {
        std::unique_lock lock(mutex);
        for (;;) {
            ++idle;
            ready.wait(lock, [this] { return stopping || !jobs.empty(); });
            --idle;
            if (stopping)
                return;
            auto job = std::move(jobs.front());
            jobs.pop_front();
            lock.unlock();
            try {
                job();
            } catch (...) {
                // run_job's jobs report for themselves; start()'s have nobody to tell.
            }
            job = nullptr;
            lock.lock();
        }
    }
};

namespace detail {

struct job_wait {
    explicit job_wait(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    bool done = false;
    bool threw = false;
};

} // namespace detail

pool::pool(asio::io_context& io, std::size_t threads, std::size_t queue_limit)
    : impl_(std::make_shared<impl>(io, threads, queue_limit)) {}

pool::~pool() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        impl_->jobs.clear();
    }
    impl_->ready.notify_all();
    for (auto& thread : impl_->threads)
        thread.join();
}

bool pool::start(std::function<void()> job) { return impl_->add(std::move(job)); }

std::size_t pool::waiting() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->jobs.size();
}

awaitable<result<void>> pool::run_job(std::function<void()> job, milliseconds limit) {
    auto state = std::make_shared<detail::job_wait>(impl_->io);
    std::function<void()> wrapped = [state, &io = impl_->io, job = std::move(job)] {
        bool threw = false;
        try {
            job();
        } catch (...) {
            threw = true;
        }
        asio::post(io, [state, threw] {
            state->done = true;
            state->threw = threw;
            state->timer.cancel();
        });
    };
    if (!impl_->add(std::move(wrapped)))
        co_return fail(errc::temporary, "too many jobs waiting");
    state->timer.expires_at(deadline_after(limit));
    auto [error] = co_await state->timer.async_wait(as_result);
    if (!state->done)
        co_return error ? fail(errc::closed) : fail(errc::timeout, "no answer in time");
    if (state->threw)
        co_return fail(errc::temporary, "out of memory");
    co_return result<void>{};
}

} // namespace mta::net
