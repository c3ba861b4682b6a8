#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include <mta/net/channel.hpp>
#include <mta/net/connect.hpp>
#include <mta/net/stream.hpp>

#include "loop.hpp"

using namespace mta;
using namespace mta::net;
using std::chrono::milliseconds;

namespace {

struct pair_of_streams {
    explicit pair_of_streams(asio::io_context& io) {
        auto fds = socket_pair();
        REQUIRE(fds);
        near = stream(io, std::move(fds->first));
        far = stream(io, std::move(fds->second));
    }
    stream near, far;
};

awaitable<void> echo_once(stream& peer) {
    char chunk[100];
    const auto got = co_await peer.read_some(chunk, sizeof chunk, milliseconds(5000));
    if (got)
        (void)co_await peer.write(std::string_view(chunk, *got), milliseconds(5000));
}

awaitable<void> read_all(stream& from, std::string& into) {
    std::array<char, 4096> chunk;
    for (;;) {
        const auto got = co_await from.read_some(chunk.data(), chunk.size(), milliseconds(5000));
        if (!got)
            co_return;
        into.append(chunk.data(), *got);
    }
}

} // namespace

TEST_CASE("bytes go there and back", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    spawn(io, echo_once(s.far));
    auto test = [&]() -> awaitable<void> {
        const auto step1 = co_await s.near.write("hello", milliseconds(1000));
        CHECK(step1);
        char chunk[100];
        const auto got = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(1000));
        REQUIRE(got);
        CHECK(std::string_view(chunk, *got) == "hello");
    };
    run_to_end(io, test());
}

TEST_CASE("a silent peer ends a read at the limit, and every later operation at once", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto test = [&]() -> awaitable<void> {
        char chunk[10];
        const auto start = std::chrono::steady_clock::now();
        const auto got = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(50));
        const auto took = std::chrono::steady_clock::now() - start;
        CHECK(got.error().code == errc::timeout);
        CHECK(took >= milliseconds(49));
        CHECK(took < milliseconds(2000));
        const auto again = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(5000));
        CHECK(again.error().code == errc::timeout);
    };
    run_to_end(io, test());
}

TEST_CASE("a long limit first does not delay a short one after it", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto test = [&]() -> awaitable<void> {
        char chunk[10];
        const auto step2 = co_await s.far.write("x", milliseconds(1000));
        CHECK(step2);
        const auto step3 = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(60000));
        CHECK(step3);
        const auto start = std::chrono::steady_clock::now();
        const auto got = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(50));
        CHECK(got.error().code == errc::timeout);
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(2000));
        s.near.close(); // its timer would keep the loop
    };
    run_to_end(io, test());
}

TEST_CASE("a short limit that was met does not end a later long read", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto late_write = [&]() -> awaitable<void> {
        (void)co_await sleep_for(milliseconds(150));
        (void)co_await s.far.write("y", milliseconds(1000));
    };
    spawn(io, late_write());
    auto test = [&]() -> awaitable<void> {
        char chunk[10];
        const auto step4 = co_await s.far.write("x", milliseconds(1000));
        CHECK(step4);
        const auto step5 = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(50));
        CHECK(step5);
        const auto step6 = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(10000));
        CHECK(step6);
    };
    run_to_end(io, test());
}

TEST_CASE("end of file is errc::closed", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto test = [&]() -> awaitable<void> {
        s.far.close();
        char chunk[10];
        const auto got = co_await s.near.read_some(chunk, sizeof chunk, milliseconds(1000));
        CHECK(got.error().code == errc::closed);
        CHECK(s.near.readable_now());
        CHECK_FALSE(co_await s.near.write("into the void", milliseconds(1000)));
    };
    run_to_end(io, test());
}

TEST_CASE("cancel ends the pending read and later ones", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto canceller = [&]() -> awaitable<void> {
        (void)co_await sleep_for(milliseconds(20));
        s.near.cancel();
    };
    spawn(io, canceller());
    auto test = [&]() -> awaitable<void> {
        char chunk[10];
        const auto got = co_await s.near.read_some(chunk, sizeof chunk, no_limit);
        CHECK(got.error().code == errc::closed);
        const auto written = co_await s.near.write("x", no_limit);
        CHECK(written.error().code == errc::closed);
    };
    run_to_end(io, test());
}

TEST_CASE("a gather write larger than the socket's buffer arrives whole and in order", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    std::string received;
    spawn(io, read_all(s.far, received));
    std::string a(1000000, 'a'), b(700000, 'b'), c(3, 'c');
    auto test = [&]() -> awaitable<void> {
        const std::array<std::string_view, 4> pieces{a, std::string_view(), b, c};
        std::span<const std::string_view> all(pieces);
        const auto step7 = co_await s.near.write(all, milliseconds(10000));
        CHECK(step7);
        s.near.close();
    };
    run_to_end(io, test());
    CHECK(received == a + b + c);
}

TEST_CASE("a write that the peer does not take ends at the limit", "[net][stream]") {
    asio::io_context io;
    pair_of_streams s(io);
    auto test = [&]() -> awaitable<void> {
        const std::string much(4000000, 'x');
        const auto written = co_await s.near.write(much, milliseconds(60));
        CHECK(written.error().code == errc::timeout);
    };
    run_to_end(io, test());
}

TEST_CASE("connect and accept meet over TCP and over a unix path", "[net][connect]") {
    asio::io_context io;
    const bool unix_path = GENERATE(false, true);
    char directory[] = "/tmp/mtad-test-XXXXXX";
    REQUIRE(::mkdtemp(directory) != nullptr);
    const std::string path = std::string(directory) + "/socket";
    auto listener = unix_path ? listen_local(path, 0666, 10)
                              : listen_inet(*socket_address::parse("127.0.0.1:0", 0), 10);
    REQUIRE(listener);
    const auto address = *socket_address::local_of(listener->get());
    acceptor accepts(io, std::move(*listener));
    auto server = [&]() -> awaitable<void> {
        auto client = co_await accepts.accept();
        CHECK(client);
        if (client)
            co_await echo_once(*client);
        const auto none = co_await accepts.accept();
        CHECK(none.error().code == errc::closed);
    };
    spawn(io, server());
    auto test = [&]() -> awaitable<void> {
        auto made = co_await connect(io, address, milliseconds(1000));
        REQUIRE(made);
        const auto step8 = co_await made->write("ping", milliseconds(1000));
        CHECK(step8);
        char chunk[10];
        const auto got = co_await made->read_some(chunk, sizeof chunk, milliseconds(1000));
        CHECK((got && *got == 4));
        accepts.close();
    };
    run_to_end(io, test());
    ::unlink(path.c_str());
    ::rmdir(directory);
}

TEST_CASE("a refused connection is told in the system's words", "[net][connect]") {
    asio::io_context io;
    auto listener = listen_inet(*socket_address::parse("127.0.0.1:0", 0), 10);
    REQUIRE(listener);
    const auto address = *socket_address::local_of(listener->get());
    listener->reset();
    auto test = [&]() -> awaitable<void> {
        const auto made = co_await connect(io, address, milliseconds(1000));
        REQUIRE_FALSE(made);
        CHECK(made.error().code.message() == "Connection refused");
    };
    run_to_end(io, test());
}
