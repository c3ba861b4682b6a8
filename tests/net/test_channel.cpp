#include <unistd.h>

#include <mta/net/channel.hpp>

#include "loop.hpp"

using namespace mta;
using namespace mta::net;
using std::chrono::milliseconds;

TEST_CASE("messages of every size arrive whole and in order", "[net][channel]") {
    asio::io_context io;
    auto fds = socket_pair();
    REQUIRE(fds);
    channel near(io, std::move(fds->first)), far(io, std::move(fds->second));
    const std::size_t sizes[] = {0, 1, 3, 4, 5, 65531, 65532, 65533, 65536, 200000, 7, 3000000, 0, 2};
    for (const auto size : sizes)
        near.send(std::string(size, static_cast<char>('a' + size % 26)));
    auto test = [&]() -> awaitable<void> {
        for (const auto size : sizes) {
            const auto message = co_await far.receive(milliseconds(5000));
            REQUIRE(message);
            CHECK(*message == std::string(size, static_cast<char>('a' + size % 26)));
        }
        const auto step1 = co_await near.drained();
        CHECK(step1);
        CHECK(near.queued() == 0);
        near.close();
        const auto end = co_await far.receive(milliseconds(5000));
        CHECK(end.error().code == errc::closed);
    };
    run_to_end(io, test());
}

TEST_CASE("a message cut at any byte is not handed out", "[net][channel]") {
    const std::string frame("\0\0\0\5hello", 9);
    for (std::size_t cut = 0; cut < frame.size(); ++cut) {
        asio::io_context io;
        auto fds = socket_pair();
        REQUIRE(fds);
        channel far(io, std::move(fds->second));
        REQUIRE(::write(fds->first.get(), frame.data(), cut) == static_cast<ssize_t>(cut));
        fds->first.reset();
        auto test = [&]() -> awaitable<void> {
            const auto message = co_await far.receive(milliseconds(5000));
            CHECK(message.error().code == errc::closed);
        };
        run_to_end(io, test());
    }
}

TEST_CASE("a length over the limit ends the channel", "[net][channel]") {
    asio::io_context io;
    auto fds = socket_pair();
    REQUIRE(fds);
    channel far(io, std::move(fds->second));
    REQUIRE(::write(fds->first.get(), "\1\0\0\1x", 5) == 5);
    auto test = [&]() -> awaitable<void> {
        const auto message = co_await far.receive(milliseconds(5000));
        CHECK(message.error().code == errc::too_large);
    };
    run_to_end(io, test());
}

TEST_CASE("what was sent before close still arrives", "[net][channel]") {
    asio::io_context io;
    auto fds = socket_pair();
    REQUIRE(fds);
    channel near(io, std::move(fds->first)), far(io, std::move(fds->second));
    near.send("last words");
    near.close();
    auto test = [&]() -> awaitable<void> {
        const auto message = co_await far.receive(milliseconds(5000));
        REQUIRE(message);
        CHECK(*message == "last words");
    };
    run_to_end(io, test());
}
