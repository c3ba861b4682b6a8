#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>

#include "../support/temporary_directory.hpp"

using std::chrono::milliseconds;

TEST_CASE("descriptors travel beside a message", "[core][local_socket]") {
    const mta::test::temporary_directory dir;
    auto pair = mta::socket_pair(SOCK_SEQPACKET);
    REQUIRE(pair);
    REQUIRE(mta::replace_file(dir / "f", "content", 0600));
    const auto file = mta::open_file(dir / "f", O_RDONLY);
    REQUIRE(file);
    const int fds[] = {file->get()};
    REQUIRE(mta::send_with_fds(pair->first.get(), "hello", fds));
    auto message = mta::receive_with_fds(pair->second.get());
    REQUIRE(message);
    CHECK(message->bytes == "hello");
    REQUIRE(message->fds.size() == 1);
    char text[8] = {};
    CHECK(::read(message->fds[0].get(), text, sizeof text) == 7);
    pair->first.reset();
    CHECK(mta::receive_with_fds(pair->second.get()).value().bytes.empty());
}

TEST_CASE("a message that is too large is refused by both ends, never cut", "[core][local_socket]") {
    auto pair = mta::socket_pair(SOCK_SEQPACKET);
    REQUIRE(pair);
    const int sender = pair->first.get();
    const int receiver = pair->second.get();
    const std::string whole(mta::max_message_bytes, 'x');
    const std::vector<int> fds(mta::max_message_fds, sender);
    REQUIRE(mta::send_with_fds(sender, whole, fds));
    auto message = mta::receive_with_fds(receiver);
    REQUIRE(message);
    CHECK(message->bytes == whole);
    CHECK(message->fds.size() == fds.size());
    CHECK(mta::send_with_fds(sender, whole + "x", {}).error().code == mta::errc::too_large);
    CHECK(mta::send_with_fds(sender, "x", std::vector<int>(fds.size() + 1, sender)).error().code ==
          mta::errc::too_large);
    // Somebody else's sender.
    REQUIRE(::send(sender, (whole + "x").data(), whole.size() + 1, MSG_NOSIGNAL) > 0);
    CHECK(mta::receive_with_fds(receiver).error().code == mta::errc::truncated);
    REQUIRE(mta::send_with_fds(sender, "next", {}));
    CHECK(mta::receive_with_fds(receiver).value().bytes == "next");
}

TEST_CASE("a silent peer costs the time limit and no more", "[core][local_socket]") {
    const mta::test::temporary_directory dir;
    const auto listener = mta::listen_local(dir / "s", 0600);
    REQUIRE(listener);
    const auto client = mta::connect_local(dir / "s", milliseconds(1000));
    REQUIRE(client);
    char byte = 0;
    CHECK(mta::receive_some(client->get(), &byte, 1, milliseconds(20)).error().code == mta::errc::timeout);
}

TEST_CASE("a missing socket and a refused connection keep their reason", "[core][local_socket]") {
    const mta::test::temporary_directory dir;
    CHECK(mta::connect_local(dir / "absent", milliseconds(100)).error().code == std::errc::no_such_file_or_directory);
    { const auto gone = mta::listen_local(dir / "s", 0600); }
    CHECK(mta::connect_local(dir / "s", milliseconds(100)).error().code == std::errc::connection_refused);
}
