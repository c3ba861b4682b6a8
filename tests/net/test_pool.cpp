#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <mta/net/pool.hpp>

#include "loop.hpp"

using namespace mta;
using namespace mta::net;
using std::chrono::milliseconds;

namespace {

// Jobs that wait until they are let go.
struct gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool open = false;
    void wait() {
        std::unique_lock lock(mutex);
        opened.wait(lock, [&] { return open; });
    }
    void let_go() {
        const std::lock_guard lock(mutex);
        open = true;
        opened.notify_all();
    }
};

} // namespace

TEST_CASE("a job's value and a job's error come back", "[net][pool]") {
    asio::io_context io;
    pool jobs(io, 2, 10);
    auto test = [&]() -> awaitable<void> {
        const auto loop_thread = std::this_thread::get_id();
        auto good = [loop_thread]() -> result<int> { return std::this_thread::get_id() != loop_thread ? 7 : 0; };
        const auto value = co_await jobs.run(std::move(good));
        REQUIRE(value);
        CHECK(*value == 7);
        auto bad = []() -> result<void> { return fail(errc::malformed, "broken"); };
        const auto trouble = co_await jobs.run(std::move(bad));
        CHECK(trouble.error().detail == "broken");
    };
    run_to_end(io, test());
}

TEST_CASE("a job that throws is a temporary failure", "[net][pool]") {
    asio::io_context io;
    pool jobs(io, 1, 10);
    auto test = [&]() -> awaitable<void> {
        auto throws = []() -> result<void> { throw std::bad_alloc(); };
        const auto trouble = co_await jobs.run(std::move(throws));
        CHECK(trouble.error().code == errc::temporary);
    };
    run_to_end(io, test());
}

TEST_CASE("a full pool refuses at once, and the waiter of a slow job may leave", "[net][pool]") {
    asio::io_context io;
    auto slow = std::make_shared<gate>();
    pool jobs(io, 1, 1);
    std::atomic<int> ran = 0;
    auto waiter = [&]() -> awaitable<void> {
        auto job = [slow, &ran]() -> result<void> {
            slow->wait();
            ++ran;
            return {};
        };
        const auto trouble = co_await jobs.run(job, milliseconds(40));
        CHECK(trouble.error().code == errc::timeout);
        CHECK(jobs.start([&ran] { ++ran; }));      // waits behind the first
        CHECK_FALSE(jobs.start([&ran] { ++ran; })); // no room
        const auto full = co_await jobs.run(job, milliseconds(40));
        CHECK(full.error().code == errc::temporary);
        slow->let_go();
        while (ran < 2)
            (void)co_await sleep_for(milliseconds(5));
    };
    run_to_end(io, waiter());
    CHECK(ran == 2);
}

TEST_CASE("many jobs run on few threads", "[net][pool]") {
    asio::io_context io;
    pool jobs(io, 4, 1000);
    int done = 0;
    auto one = [&](int number) -> awaitable<void> {
        auto job = [number]() -> result<int> { return number; };
        const auto value = co_await jobs.run(std::move(job));
        if (value && *value == number)
            ++done;
    };
    for (int i = 0; i < 500; ++i)
        spawn(io, one(i));
    io.run();
    CHECK(done == 500);
}
