#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <mta/core/local_socket.hpp>
#include <mta/table/memcache_protocol.hpp>
#include <mta/table/network_protocols.hpp>
#include <mta/table/redis_protocol.hpp>

using namespace mta::table;

TEST_CASE("percent encoding keeps every byte", "[table][network]") {
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    const auto encoded = percent_encode(all);
    CHECK(encoded.find_first_of(" \n\t%", 0) == encoded.find('%'));
    CHECK(percent_decode(encoded).value() == all);
    CHECK(percent_encode("a b%\n") == "a%20b%25%0A");
    CHECK(percent_decode("%6a%6A").value() == "jj");
    for (const char* bad : {"%", "%4", "%4g", "a%", "%%41"}) {
        CAPTURE(bad);
        CHECK(percent_decode(bad).error().code == mta::errc::malformed);
    }
}

TEST_CASE("a line of a tcp table is found, absent or no answer", "[table][network]") {
    CHECK(read_tcp_reply("200 a%20b").value() == "a b");
    CHECK(read_tcp_reply("200 ").value() == "");
    CHECK(read_tcp_reply("500 nothing").value() == std::nullopt);
    for (const char* bad : {"", "200", "500", "400 later", "2000 x", "200\tx", "200 %", "600 x", " 200 x", "OK x"}) {
        CAPTURE(bad);
        CHECK(read_tcp_reply(bad).error().code == mta::errc::temporary);
    }
}

TEST_CASE("netstrings and what socketmap servers say in them", "[table][network]") {
    CHECK(netstring("a b") == "3:a b,");
    CHECK(netstring("") == "0:,");
    CHECK(netstring_size("0", 5).value() == 0);
    CHECK(netstring_size("5", 5).value() == 5);
    CHECK(netstring_size("6", 5).error().code == mta::errc::too_large);
    for (const char* bad : {"", "-1", "+1", "1 ", "0x1", "9999999999"}) {
        CAPTURE(bad);
        CHECK(netstring_size(bad, 5).error().code == mta::errc::malformed);
    }
    CHECK(read_socketmap_reply("OK a b").value() == "a b");
    CHECK(read_socketmap_reply("OK ").value() == "");
    CHECK(read_socketmap_reply("NOTFOUND ").value() == std::nullopt);
    CHECK(mta::is_temporary(read_socketmap_reply("TEMP x").error().code));
    CHECK(mta::is_temporary(read_socketmap_reply("TIMEOUT x").error().code));
    CHECK_FALSE(mta::is_temporary(read_socketmap_reply("PERM x").error().code));
    for (const char* bad : {"", "ok x", "OKAY x", "NOTFOUNDX"}) {
        CAPTURE(bad);
        CHECK(read_socketmap_reply(bad).error().code == mta::errc::temporary);
    }
}

namespace {

// A server that says this and nothing more, whatever it is asked.
std::unique_ptr<client_stream> server_that_says(std::string_view bytes) {
    auto ends = mta::socket_pair(SOCK_STREAM);
    REQUIRE(ends);
    REQUIRE(::send(ends->second.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    ::shutdown(ends->second.get(), SHUT_WR);
    static mta::unique_fd other; // the question goes somewhere
    other = std::move(ends->second);
    return client_stream::adopt(std::move(ends->first), std::chrono::seconds(5));
}

} // namespace

TEST_CASE("a server that says what nobody asked for, or hangs up, is asked no question", "[table][network]") {
    auto ends = mta::socket_pair(SOCK_STREAM);
    REQUIRE(ends);
    const auto server = client_stream::adopt(std::move(ends->first), std::chrono::seconds(5));
    CHECK(server->start_question(std::chrono::seconds(5)));
    REQUIRE(::send(ends->second.get(), "200 a\n200 b\n", 12, 0) == 12);
    CHECK(server->start_question(std::chrono::seconds(5)).error().code == mta::errc::malformed);
    CHECK(server->read_until("\n", 10).value() == "200 a");
    CHECK(server->start_question(std::chrono::seconds(5)).error().code == mta::errc::malformed);
    CHECK(server->read_until("\n", 10).value() == "200 b");
    CHECK(server->start_question(std::chrono::seconds(5)));
    ends->second.reset();
    CHECK(server->start_question(std::chrono::seconds(5)).error().code == mta::errc::closed);
}

TEST_CASE("memcached's answer to get is the key's value, or nothing, or an error", "[table][network]") {
    constexpr memcache_limits limits{40, 5};
    const auto get = [&](std::string_view said) { return memcache_get(*server_that_says(said), "k", limits); };
    CHECK(get("END\r\n").value() == std::nullopt);
    CHECK(get("VALUE k 0 5\r\na\r\nbc\r\nEND\r\n").value() == "a\r\nbc");
    CHECK(get("VALUE k 0 0\r\n\r\nEND\r\n").value() == "");
    CHECK(get("VALUE k 0 1 77\r\nx\r\nEND\r\n").value() == "x");
    const std::string_view whole = "VALUE k 0 1\r\nx\r\nEND\r\n";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(get(whole.substr(0, size)));
    }
    const auto [said, why] = GENERATE(table<const char*, mta::errc>({
        {"VALUE k 0 6\r\nabcdef\r\nEND\r\n", mta::errc::too_large},
        {"VALUE k 0 99999999999999999999\r\n", mta::errc::malformed},
        {"VALUE k 0 -1\r\n\r\nEND\r\n", mta::errc::malformed},
        {"VALUE j 0 1\r\nx\r\nEND\r\n", mta::errc::malformed},
        {"VALUE k 0\r\nx\r\nEND\r\n", mta::errc::malformed},
        {"VALUE k 0 1\r\nxy\r\nEND\r\n", mta::errc::malformed},
        {"ERROR\r\n", mta::errc::malformed},
        {"\r\n", mta::errc::malformed},
        {"VALUE kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk 0 1\r\n", mta::errc::too_large},
        {"END\r\nEND\r\n", mta::errc::malformed},
    }));
    CAPTURE(said);
    CHECK(get(said).error().code == why);
}

TEST_CASE("memcached stores, or says why not", "[table][network]") {
    const auto set = [](std::string_view said) { return memcache_set(*server_that_says(said), {"k", "v", 0, 0}, {}); };
    CHECK(set("STORED\r\n"));
    CHECK(set("NOT_STORED\r\n").error().code == mta::errc::temporary);
    CHECK(set("SERVER_ERROR out of memory\r\n").error().text().find("out of memory") != std::string::npos);
    CHECK_FALSE(set("STORED\r\nSTORED\r\n"));
    CHECK_FALSE(set("STORE"));
}

TEST_CASE("a Redis command carries lengths, not quotes", "[table][network]") {
    CHECK(redis_command({"GET", "a\r\nb"}) == "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    CHECK(redis_command({}) == "*0\r\n");
}
