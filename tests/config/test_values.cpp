#include <catch2/catch.hpp>

#include <mta/config/values.hpp>

namespace config = mta::config;

TEST_CASE("times have a unit or take the parameter's", "[config][values]") {
    struct row {
        const char* text;
        char unit;
        long long seconds; // -1: refused
    };
    const auto r = GENERATE(values<row>({
        {"0", 's', 0},
        {"5", 's', 5},
        {"5", 'd', 432000},
        {"5s", 'd', 5},
        {"2m", 's', 120},
        {"3h", 's', 10800},
        {"1d", 's', 86400},
        {"1w", 's', 604800},
        {"", 's', -1},
        {"s", 's', -1},
        {"1M", 's', -1},
        {"1 s", 's', -1},
        {"-1s", 's', -1},
        {"1y", 's', -1},
        {"1ss", 's', -1},
        {"2147483647", 's', 2147483647},
        {"2147483648", 's', -1},
        {"99999999999h", 's', -1},
    }));
    CAPTURE(r.text);
    const auto value = config::parse_time("max_idle", r.text, r.unit);
    REQUIRE(value.has_value() == (r.seconds >= 0));
    if (value)
        CHECK(value->count() == r.seconds);
    else
        CHECK(value.error().detail == std::string("parameter max_idle: bad time value or unit: ") + r.text);
}

TEST_CASE("numbers and yes or no are strict", "[config][values]") {
    CHECK(*config::parse_number("n", "-12") == -12);
    CHECK(config::parse_number("max_use", "1k").error().detail == "bad numerical configuration: max_use = 1k");
    CHECK(config::parse_number("max_use", "").error().detail == "bad numerical configuration: max_use = ");
    CHECK(!config::parse_number("max_use", "0x10"));
    CHECK(*config::parse_yes_no("b", "YES"));
    CHECK(!*config::parse_yes_no("b", "no"));
    CHECK(config::parse_yes_no("soft_bounce", "true").error().detail == "bad boolean configuration: soft_bounce = true");
}

TEST_CASE("lists split on blanks and commas, braces hold together", "[config][values]") {
    using words = std::vector<std::string>;
    CHECK(config::split_list("a, b,c\td") == words{"a", "b", "c", "d"});
    CHECK(config::split_list("") == words{});
    CHECK(config::split_list(" , ") == words{});
    CHECK(config::split_list("a {b, c {d e}} f") == words{"a", "{b, c {d e}}", "f"});
    CHECK(config::split_list("inline:{a=b, {c = d}} x") == words{"inline:{a=b, {c = d}}", "x"});
    CHECK(config::split_list("{a b") == words{"{a b"});
    CHECK(config::split_list("a} b") == words{"a}", "b"});
}

TEST_CASE("compatibility levels compare part by part", "[config][values]") {
    CHECK(*config::parse_level("3.10") > *config::parse_level("3.9"));
    CHECK(*config::parse_level("3") == *config::parse_level("3.0.0"));
    for (const char* text : {"", "x", "3.", ".3", "3.x", "1.2.3.4", "-1", "99999999999999999999", "1 ", "1.1024", "1.0.1024",
                             "8796093022208"}) {
        CAPTURE(text);
        CHECK(!config::parse_level(text));
    }
    for (const char* text : {" 1", "+1", "01", "1. 0", "1.+0.0"}) {
        CAPTURE(text);
        REQUIRE(config::parse_level(text));
        CHECK(*config::parse_level(text) == *config::parse_level("1"));
    }
    CHECK(config::parse_level("8796093022207.1023.1023"));
}
