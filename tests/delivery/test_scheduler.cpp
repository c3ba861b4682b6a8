#include <catch2/catch.hpp>

#include <mta/delivery/scheduler.hpp>

using mta::delivery::batch;
using mta::delivery::scheduler;
using mta::delivery::transport_limits;
using std::chrono::seconds;

namespace {

const scheduler::time_point start{};
const auto any = [](const std::string&) { return true; };

class fixture {
public:
    transport_limits limits;
    scheduler under_test{[this](const std::string&) { return limits; }};

    bool add(const std::string& nexthop, scheduler::time_point now = start, const std::string& transport = "smtp") {
        batch work;
        work.serial = ++serial_;
        work.transport = transport;
        work.nexthop = nexthop;
        return !under_test.add(std::move(work), nexthop, now);
    }
    std::vector<std::string> drain() {
        std::vector<std::string> out;
        while (auto work = under_test.next(any)) {
            out.push_back(work->nexthop);
            started.push_back(work->serial);
        }
        return out;
    }
    std::vector<unsigned long> started;

private:
    unsigned long serial_ = 0;
};

} // namespace

TEST_CASE("a destination starts with the initial concurrency", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 2;
    for (int i = 0; i < 5; ++i)
        f.add("a");
    CHECK(f.drain().size() == 2);
}

TEST_CASE("each success opens the window, up to the limit", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 1;
    f.limits.concurrency = 3;
    for (int i = 0; i < 20; ++i)
        f.add("a");
    CHECK(f.drain().size() == 1);
    (void)f.under_test.finished(f.started[0], scheduler::feedback::good, {}, start);
    CHECK(f.drain().size() == 2);
    (void)f.under_test.finished(f.started[1], scheduler::feedback::good, {}, start);
    CHECK(f.drain().size() == 2);
    (void)f.under_test.finished(f.started[2], scheduler::feedback::good, {}, start);
    CHECK(f.drain().size() == 1); // three at once is the limit
}

TEST_CASE("destinations take turns", "[delivery][scheduler]") {
    fixture f;
    f.limits.processes = 4;
    for (int i = 0; i < 3; ++i) {
        f.add("a");
        f.add("b");
    }
    CHECK(f.drain() == std::vector<std::string>{"a", "b", "a", "b"});
}

TEST_CASE("the process limit bounds a transport, not its neighbours", "[delivery][scheduler]") {
    fixture f;
    f.limits.processes = 1;
    f.add("a");
    f.add("b");
    f.add("c", start, "relay");
    CHECK(f.drain() == std::vector<std::string>{"c", "a"});
}

TEST_CASE("a dead destination hands back what waits and refuses more until its time", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 1;
    f.limits.retry = seconds(60);
    for (int i = 0; i < 3; ++i)
        f.add("a");
    f.add("b");
    CHECK(f.drain() == std::vector<std::string>{"a", "b"});
    const auto back = f.under_test.finished(f.started[0], scheduler::feedback::failed, "refused", start);
    REQUIRE(back.size() == 2);
    CHECK(back[0].reason == "refused");
    CHECK_FALSE(f.add("a", start + seconds(59)));
    CHECK(f.add("a", start + seconds(61)));
    CHECK(f.drain() == std::vector<std::string>{"a"});
}

TEST_CASE("with a failed cohort limit of 0 no destination is ever dead", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 1;
    f.limits.failed_cohorts = 0;
    f.add("a");
    CHECK(f.drain() == std::vector<std::string>{"a"});
    CHECK(f.under_test.finished(f.started[0], scheduler::feedback::failed, "refused", start).empty());
    CHECK(f.add("a", start + seconds(1)));
    CHECK(f.drain() == std::vector<std::string>{"a"});
}

TEST_CASE("a flush forgives dead destinations", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 1;
    f.add("a");
    (void)f.drain();
    (void)f.under_test.finished(f.started[0], scheduler::feedback::failed, "refused", start);
    CHECK_FALSE(f.add("a"));
    f.under_test.forgive();
    CHECK(f.add("a"));
}

TEST_CASE("dead destinations that nobody asks for are forgotten in time", "[delivery][scheduler]") {
    fixture f;
    f.limits.retry = seconds(60);
    f.limits.processes = 0;
    f.limits.initial_concurrency = 1;
    for (int i = 0; i < 1000; ++i)
        f.add("d" + std::to_string(i));
    (void)f.drain();
    for (const auto serial : f.started)
        (void)f.under_test.finished(serial, scheduler::feedback::failed, "down", start);
    CHECK(f.under_test.destinations() == 1000);
    CHECK_FALSE(f.add("d5", start + seconds(59)));
    CHECK(f.under_test.destinations() == 1000);
    f.add("other", start + seconds(200));
    CHECK(f.under_test.destinations() == 1);
    CHECK(f.add("d5", start + seconds(200)));
    // One with work is kept.
    f.add("third", start + seconds(400));
    CHECK(f.under_test.destinations() == 3);
    CHECK(f.drain().size() == 3);
}

TEST_CASE("what cannot be used now keeps its place", "[delivery][scheduler]") {
    fixture f;
    f.add("a");
    CHECK_FALSE(f.under_test.next([](const std::string&) { return false; }));
    CHECK(f.drain() == std::vector<std::string>{"a"});
}

TEST_CASE("whether more waits for a destination", "[delivery][scheduler]") {
    fixture f;
    f.limits.initial_concurrency = 1;
    f.add("a");
    f.add("a");
    (void)f.drain();
    CHECK(f.under_test.more_waits(f.started[0]));
    CHECK_FALSE(f.under_test.more_waits(999));
}
