#include <catch2/catch.hpp>

#include <mta/config/edit.hpp>

namespace config = mta::config;
using config::edit_action;

TEST_CASE("editing keeps comments and order", "[config][edit]") {
    struct row {
        const char* text;
        config::edit change;
        const char* expected;
    };
    const auto r = GENERATE(values<row>({
        {"", {edit_action::set, "a", "1"}, "a = 1\n"},
        {"# x\na = 1\n# y\nb = 2\n", {edit_action::set, "a", "9"}, "# x\na = 9\n# y\nb = 2\n"},
        {"a = 1\n  2\n  3\nb = 2\n", {edit_action::set, "a", "9"}, "a = 9\nb = 2\n"},
        {"a = 1\nb = 2", {edit_action::set, "c", "3"}, "a = 1\nb = 2\nc = 3\n"},
        {"a = 1\nb = 2\na = 3\n", {edit_action::set, "a", "9"}, "a = 9\nb = 2\na = 9\n"},
        {"a = 1\n\n# d\n  2\nb = 3\n", {edit_action::set, "a", "5"}, "a = 5\n\n# d\nb = 3\n"},
        {"a = 1\n\n# d\n  2\nb = 3\n", {edit_action::comment, "a", ""}, "#a = 1\n\n# d\n#  2\nb = 3\n"},
        {"a = 1\nb = 2\n", {edit_action::set, "a", ""}, "a = \nb = 2\n"},
        {"a = 1\n 2\nb = 2\n", {edit_action::remove, "a", ""}, "b = 2\n"},
        {"a = 1\n", {edit_action::remove, "z", ""}, "a = 1\n"},
        {"a = 1\n 2\nb = 2\n", {edit_action::comment, "a", ""}, "#a = 1\n# 2\nb = 2\n"},
        {"a = 1", {edit_action::comment, "a", ""}, "#a = 1\n"},
    }));
    CAPTURE(r.text);
    const auto out = config::edit_main(r.text, {&r.change, 1}, "/x/main.cf");
    REQUIRE(out);
    CHECK(*out == r.expected);
}
