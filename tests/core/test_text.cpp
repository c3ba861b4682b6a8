#include <catch2/catch.hpp>

#include <mta/core/text.hpp>

using namespace std::string_literals;

TEST_CASE("split drops empty pieces", "[core][text]") {
    CHECK(mta::split(" a, b ,,c ", ", ") == std::vector<std::string_view>{"a", "b", "c"});
    CHECK(mta::split("", ",").empty());
    CHECK(mta::split(",,", ",").empty());
}

TEST_CASE("trim takes white space from both ends", "[core][text]") {
    CHECK(mta::trim(" \t a b \r\n") == "a b");
    CHECK(mta::trim("   ").empty());
}

TEST_CASE("numbers are whole and decimal", "[core][text]") {
    CHECK(mta::parse_integer("42").value() == 42);
    CHECK(mta::parse_integer("-7").value() == -7);
    CHECK(mta::parse_integer("+7").value() == 7);
    for (const char* bad : {"", "x", "1x", " 1", "1 ", "+", "-", "0x10", "+-1"}) {
        CAPTURE(bad);
        CHECK_FALSE(mta::parse_integer(bad));
    }
    CHECK(mta::parse_integer("99999999999999999999").error().code == mta::errc::too_large);
}

TEST_CASE("a log line cannot be broken or coloured by what it quotes", "[core][text]") {
    struct row {
        const char* why;
        std::string in;
        std::string out;
    };
    const auto [why, in, out] = GENERATE(row{"plain", "abc", "abc"}, row{"line feed", "a\nb", "a?b"},
                                         row{"escape", "\x1b[31m", "?[31m"}, row{"NUL", "a\0b"s, "a?b"},
                                         row{"UTF-8", "caf\xc3\xa9", "caf\xc3\xa9"},
                                         row{"cut UTF-8", "caf\xc3", "caf?"}, row{"overlong", "\xc0\xaf", "??"},
                                         row{"surrogate", "\xed\xa0\x80", "???"},
                                         row{"C1 control", "\xc2\x9b", "?"}, row{"delete", "\x7f", "?"},
                                         row{"over U+10FFFF", "\xf4\x90\x80\x80", "????"});
    CAPTURE(why);
    CHECK(mta::printable(in) == out);
}

TEST_CASE("case is folded for ASCII alone", "[core][text]") {
    CHECK(mta::lower("ABC\xc3\x89") == "abc\xc3\x89");
    CHECK(mta::iequals("ExAmPlE", "eXaMpLe"));
    CHECK_FALSE(mta::iequals("a", "ab"));
}
