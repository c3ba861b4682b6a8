#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/patience.hpp>
#include <mta/table/table_writer.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;
using namespace std::chrono_literals;

namespace {

// The table looks at its file once a second.
constexpr auto past_the_second = 1050ms;

std::string ask(lookup_table& table, std::string_view key) {
    const auto found = table.lookup(key);
    return !found ? "error" : *found ? **found : "absent";
}

} // namespace

TEST_CASE("a lock that another process holds stops no event loop", "[table][live]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "lock", "", 0600));
    const auto held = mta::open_file(dir / "lock", O_RDONLY);
    const auto mine = mta::open_file(dir / "lock", O_RDONLY);
    REQUIRE(mta::try_lock(held->get(), mta::lock_mode::exclusive).value());
    {
        const no_waiting loop;
        CHECK_FALSE(no_waiting::refused());
        CHECK_FALSE(lock_patiently(mine->get(), mta::lock_mode::shared));
        CHECK(no_waiting::refused());
    }
    {
        const limited_waiting thread(30ms);
        const auto locked = lock_patiently(mine->get(), mta::lock_mode::shared);
        REQUIRE_FALSE(locked);
        CHECK(mta::is_temporary(locked.error().code));
    }
    const limited_waiting thread(5s);
    std::thread other([&] {
        std::this_thread::sleep_for(30ms);
        mta::unlock(held->get());
    });
    CHECK(lock_patiently(mine->get(), mta::lock_mode::shared));
    other.join();
}

TEST_CASE("an LMDB file that another process has locked stops no event loop", "[table][live]") {
    const mta::test::temporary_directory dir;
    const std::string name = dir / "t";
    auto writer = open_writer("lmdb", name, {});
    REQUIRE(writer);
    REQUIRE((*writer)->insert("a", "1"));
    REQUIRE((*writer)->finish());
    const auto table = open_live_table("lmdb:" + name);
    REQUIRE(table);
    // A lock of the open file counts as another process's.
    const auto other = mta::open_file(name + ".lmdb", O_RDWR);
    struct flock request {};
    request.l_type = F_WRLCK;
    REQUIRE(::fcntl(other->get(), F_OFD_SETLK, &request) == 0);
    {
        const no_waiting loop;
        CHECK(ask(**table, "a") == "error");
        CHECK(no_waiting::refused());
    }
    {
        const limited_waiting thread(30ms);
        CHECK(ask(**table, "a") == "error");
    }
    request.l_type = F_UNLCK;
    REQUIRE(::fcntl(other->get(), F_OFD_SETLK, &request) == 0);
    const no_waiting loop;
    CHECK(ask(**table, "a") == "1");
    CHECK_FALSE(no_waiting::refused());
}

TEST_CASE("tables that may have to wait are not asked on an event loop", "[table][live]") {
    const auto table = open_live_table(GENERATE("unix:passwd.byname", "unix:group.byname", "debug:unix:passwd.byname",
                                                "unionmap:{static:x,unix:passwd.byname}", "pipemap:{unix:passwd.byname}"));
    REQUIRE(table);
    CHECK((*table)->traits().may_block);
    {
        const no_waiting loop;
        CHECK(ask(**table, "root") == "error");
        CHECK(no_waiting::refused());
    }
    const limited_waiting thread(10s);
    CHECK(ask(**table, "root").starts_with("root:x:0:") != (*table)->name().starts_with("unionmap"));
}

TEST_CASE("scopes of patience nest, and end", "[table][live]") {
    CHECK(may_wait());
    {
        const no_waiting outer;
        {
            const limited_waiting inner(1s);
            CHECK(may_wait());
        }
        CHECK_FALSE(no_waiting::refused());
        CHECK_FALSE(may_wait());
        CHECK(no_waiting::refused());
    }
    CHECK(may_wait());
    CHECK_FALSE(no_waiting::refused());
}

TEST_CASE("a changed file is opened by a thread that may wait, within a second or so", "[table][live]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "a old\n", 0600));
    const auto table = open_live_table("texthash:" + (dir / "t"));
    REQUIRE(table);
    CHECK(ask(**table, "a") == "old");
    REQUIRE(mta::replace_file(dir / "t", "a new\n", 0600));
    CHECK(ask(**table, "a") == "old"); // looked at a moment ago
    std::this_thread::sleep_for(past_the_second);
    {
        const no_waiting loop;
        CHECK(ask(**table, "a") == "error");
        CHECK(no_waiting::refused());
    }
    CHECK(ask(**table, "a") == "new");
    const no_waiting loop;
    CHECK(ask(**table, "a") == "new");
    CHECK_FALSE(no_waiting::refused());
}

TEST_CASE("a file that goes keeps its answers, one that never was has none until it comes", "[table][live]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "a 1\n", 0600));
    const auto table = open_live_table("texthash:" + (dir / "t"));
    const auto late = open_live_table("texthash:" + (dir / "late"));
    REQUIRE(late);
    CHECK(ask(**late, "a") == "error");
    REQUIRE(::unlink((dir / "t").c_str()) == 0);
    REQUIRE(mta::replace_file(dir / "late", "a 2\n", 0600));
    std::this_thread::sleep_for(past_the_second);
    CHECK(ask(**table, "a") == "1");
    CHECK(ask(**table, "b") == "absent");
    CHECK(ask(**late, "a") == "2");
}

TEST_CASE("who gave up the rights to a changed file is told once", "[table][live]") {
    if (::geteuid() == 0) {
        WARN("root has every right: not looked at");
        return;
    }
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "a 1\n", 0600));
    const auto table = open_live_table("texthash:" + (dir / "t"));
    std::vector<std::string> heard;
    set_unreadable_table_handler([&heard](const std::string& why) { heard.push_back(why); });
    REQUIRE(mta::replace_file(dir / "t", "a 2\n", 0000));
    for (int i = 0; i < 2; ++i) {
        std::this_thread::sleep_for(past_the_second);
        CHECK(ask(**table, "a") == "1");
    }
    set_unreadable_table_handler({});
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].find(dir / "t") != std::string::npos);
}

TEST_CASE("a table that asks a server is for pool threads, several at a time", "[table][live]") {
    const mta::test::temporary_directory dir;
    // A server that never answers would take the time limit; one that is not there is enough to see who may ask.
    const auto table = open_live_table("socketmap:unix:" + (dir / "nobody") + ":x");
    REQUIRE(table);
    CHECK((*table)->traits().may_block);
    {
        const no_waiting loop;
        CHECK(ask(**table, "a") == "error");
        CHECK(no_waiting::refused());
    }
    std::vector<std::future<std::string>> answers;
    for (std::size_t i = 0; i < 3 * live_table_handles; ++i)
        answers.push_back(std::async(std::launch::async, [&] {
            const limited_waiting thread(10s);
            return ask(**table, "a");
        }));
    for (auto& one : answers)
        CHECK(one.get() == "error");
}

TEST_CASE("threads that share a table get its answers while it changes under them", "[table][live]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "a x\nb 1\n", 0600));
    const auto table = open_live_table("texthash:" + (dir / "t"));
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    const auto end = std::chrono::steady_clock::now() + 1500ms;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            const limited_waiting thread(10s);
            while (std::chrono::steady_clock::now() < end) {
                if (ask(**table, "a") != "x" || ask(**table, "c") != "absent")
                    ++wrong;
                std::this_thread::yield();
            }
        });
    for (int i = 0; std::chrono::steady_clock::now() < end; ++i) {
        REQUIRE(mta::replace_file(dir / "t", "a x\nb " + std::to_string(i) + "\n", 0600));
        std::this_thread::sleep_for(50ms);
    }
    for (auto& one : threads)
        one.join();
    CHECK(wrong == 0);
}
