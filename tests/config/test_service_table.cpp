#include <catch2/catch.hpp>

#include <mta/config/service_table.hpp>

using namespace mta::config;

TEST_CASE("a line of master.cf is printed in columns, with its options in one form", "[config][service_table]") {
    struct row {
        const char* given;
        const char* printed;
    };
    const auto line = GENERATE(
        row{"smtp inet n - y - - smtpd", "smtp       inet  n       -       y       -       -       smtpd"},
        row{"127.0.0.1:10025 inet n - y - - smtpd", "127.0.0.1:10025 inet n   -       y       -       -       smtpd"},
        row{"a unix - - - 60? 1 smtp -oa=b -vo c=d",
            "a          unix  -       -       -       60?     1       smtp -o a=b -v -o c=d"},
        row{"a unix - - - - - smtp -o { x = y  z } {b c} d",
            "a          unix  -       -       -       -       -       smtp -o {x=y  z} {b c} d"},
        row{"a unix - - - - - smtp --odd -o b=c", "a          unix  -       -       -       -       -       smtp --odd -o b=c"},
        row{"a unix - - - - - pipe argv={x y} -o no=option",
            "a          unix  -       -       -       -       -       pipe {argv={x y}} -o no=option"});
    CAPTURE(line.given);
    const auto entry = read_service(line.given);
    REQUIRE(entry);
    CHECK(format_service(*entry, service_layout::one_line) == line.printed);
    const auto again = read_service(line.printed);
    REQUIRE(again);
    CHECK(again->settings == entry->settings);
}

TEST_CASE("folding gives each -o its own line", "[config][service_table]") {
    const auto entry = read_service("a unix - - - - - smtp -v -o b=c -v -o {d=e f} {x y} z");
    REQUIRE(entry);
    CHECK(format_service(*entry, service_layout::folded) ==
          "a          unix  -       -       -       -       -       smtp -v\n    -o b=c\n    -v\n    -o {d=e f}\n"
          "    {x y} z");
}

TEST_CASE("a line that cannot be read says which column is wrong", "[config][service_table]") {
    struct row {
        const char* text;
        const char* why;
    };
    const auto bad = GENERATE(row{"short", "bad field count: \"short\""},
                              row{"a foo - - - - - x", "invalid type field \"foo\" in \"a foo - - - - - x\""},
                              row{"a unix q - - - - x", "invalid private field \"q\" in \"a unix q - - - - x\""},
                              row{"a unix - - - ?6 - x", "invalid wakeup field \"?6\" in \"a unix - - - ?6 - x\""},
                              row{"a unix - - - - x y", "invalid process_limit field \"x\" in \"a unix - - - - x y\""});
    CAPTURE(bad.text);
    const auto entry = read_service(bad.text);
    REQUIRE_FALSE(entry);
    CHECK(entry.error().detail == bad.why);
}

TEST_CASE("settings are put, changed and taken away where options stand", "[config][service_table]") {
    auto entry = *read_service("a unix - - - - - pipe -o b=1 -v -o b=2 flags=x -o b=3");
    set_parameter(entry, "b", "9");
    CHECK(format_command(entry) == "pipe -o b=9 -v -o b=9 flags=x -o b=3");
    set_parameter(entry, "c", "1");
    CHECK(format_command(entry) == "pipe -o b=9 -v -o b=9 -o c=1 flags=x -o b=3");
    CHECK(remove_parameter(entry, "b"));
    CHECK(format_command(entry) == "pipe -v -o c=1 flags=x -o b=3");
    CHECK_FALSE(remove_parameter(entry, "b"));
}

TEST_CASE("a column takes only what it can hold", "[config][service_table]") {
    auto entry = *read_service("a unix - - - - - smtp -v");
    CHECK(set_column(entry, 4, "n"));
    CHECK_FALSE(set_column(entry, 4, "x"));
    CHECK_FALSE(set_column(entry, 4, ""));
    CHECK(set_column(entry, 7, "pipe -o a=b {c d}"));
    CHECK(format_service(entry, service_layout::one_line) ==
          "a          unix  -       -       n       -       -       pipe -o a=b {c d}");
}
