#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

namespace {

std::string ask(const std::string& rules, const std::string& key) {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "r", rules, 0600));
    auto table = mta::table::open_table("regexp:" + (dir / "r"));
    if (!table)
        return "error";
    return (*table)->lookup(key).value().value_or("absent");
}

} // namespace

TEST_CASE("a rule that begins with a NUL is skipped", "[table][regexp]") {
    CHECK(ask(std::string("\0/a/ x\n/a/ y\n", 14), "a") == "y");
}

TEST_CASE("regexp rules", "[table][regexp]") {
    struct row {
        const char* why;
        const char* rules;
        const char* key;
        const char* answer;
    };
    const auto [why, rules, key, answer] = GENERATE(
        row{"a hit", "/^a/ yes", "abc", "yes"}, row{"a miss", "/^a/ yes", "xbc", "absent"},
        row{"the first rule wins", "/a/ one\n/a/ two", "a", "one"},
        row{"case does not matter", "/^A/ yes", "abc", "yes"}, row{"unless asked", "/^A/i yes", "abc", "absent"},
        row{"groups", "/^(.*)@(.*)$/ $2!${1}!$(1)$$", "u@d", "d!u!u$"},
        row{"negation", "!/^a/ not", "b", "not"}, row{"negation misses", "!/^a/ not", "a", "absent"},
        row{"if", "if /@/\n/^a/ in\nendif\n/^a/ out", "a@", "in"},
        row{"if not taken", "if /@/\n/^a/ in\nendif\n/^a/ out", "a", "out"},
        row{"nested if", "if /a/\nif /b/\n/c/ deep\nendif\n/c/ mid\nendif\n/c/ top", "ac", "mid"},
        row{"if with negation", "if !/@/\n/^a/ in\nendif", "a", "in"},
        row{"another delimiter", ",^a/, yes", "a/b", "yes"}, row{"a bad expression is skipped", "/(/ x\n/a/ y", "a", "y"},
        row{"no closing delimiter", "/a x\n/a/ y", "a", "y"}, row{"endif alone", "endif\n/a/ y", "a", "y"},
        row{"if alone reaches to the end", "if /a/\n/b/ x", "b", "absent"},
        row{"unknown flag", "/a/z x\n/a/ y", "a", "y"}, row{"a and not b", "/a/!/b/ x", "a", "x"},
        row{"a and b", "/a/!/b/ x", "ab", "absent"});
    CAPTURE(why);
    CHECK(ask(rules, key) == answer);
}
