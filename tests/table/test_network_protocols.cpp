#include <catch2/catch.hpp>

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

TEST_CASE("a Redis command carries lengths, not quotes", "[table][network]") {
    CHECK(redis_command({"GET", "a\r\nb"}) == "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    CHECK(redis_command({}) == "*0\r\n");
}
