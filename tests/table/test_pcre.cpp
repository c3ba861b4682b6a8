#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

namespace {

mta::table::table_ptr table_of(const std::string& rules) {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "r", rules, 0600));
    auto table = mta::table::open_table("pcre:" + (dir / "r"));
    REQUIRE(table);
    return std::move(*table);
}

} // namespace

TEST_CASE("pcre rules", "[table][pcre]") {
    struct row {
        const char* why;
        const char* rules;
        const char* key;
        const char* answer;
    };
    const auto [why, rules, key, answer] = GENERATE(
        row{"a hit", "/^a/ yes", "ABC", "yes"}, row{"case by flag", "/^a/i yes", "ABC", "absent"},
        row{"groups", "/^(.*?)@(?:x)(.*)$/ $2!${1}!$(1)$$", "u@xd", "d!u!u$"},
        row{"a group that took no part", "/^a(b)?/ [$1]", "a", "[]"}, row{"look-ahead", "/a(?=b)/ yes", "ac", "absent"},
        row{"negation", "!/^a/ not", "b", "not"}, row{"a newline is a byte", "/a.b/ yes", "a\nb", "yes"},
        row{"unless by flag", "/a.b/s yes", "a\nb", "absent"}, row{"blanks by flag", "/a # note/x yes", "a", "yes"},
        row{"if", "if /@/\n/^a/ in\nendif\n/^a/ out", "a@", "in"},
        row{"nested if", "if /a/\nif /b/\n/c/ deep\nendif\n/c/ mid\nendif\n/c/ top", "abc", "deep"},
        row{"a bad expression is skipped", "/(/ x\n/a/ y", "a", "y"},
        row{"a group that is not there", "/a/ $1\n/a/ y", "a", "y"});
    CAPTURE(why);
    CHECK(table_of(rules)->lookup(key).value().value_or("absent") == answer);
}

TEST_CASE("a match limit is trouble, named by file and line", "[table][pcre]") {
    const auto table = table_of("/nothing/ x\n/^(a+)+$/ y\n");
    const auto found = table->lookup(std::string(64, 'a') + "!");
    REQUIRE_FALSE(found);
    CHECK(mta::is_temporary(found.error().code));
    CHECK(found.error().text().find("line 2: ") != std::string::npos);
}

TEST_CASE("a table says which line answered", "[table][pcre]") {
    const auto table = table_of("# note\n/a/ x\n/b/\n  y\n");
    REQUIRE(table->lookup("b").value());
    CHECK(table->last_place().ends_with(":3"));
}
