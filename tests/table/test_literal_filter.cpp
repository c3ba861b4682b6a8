#include <catch2/catch.hpp>

#include <algorithm>

#include <mta/core/file.hpp>
#include <mta/table/literal_filter.hpp>
#include <mta/table/pattern_literals.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

TEST_CASE("words that a pattern needs", "[table][literal_filter]") {
    struct row {
        const char* pattern;
        std::vector<literal_factor> factors;
    };
    const auto [pattern, factors] = GENERATE(
        row{"abc", {{"abc"}}}, row{"^Abc$", {{"abc"}}}, row{"a.c", {{"a"}, {"c"}}}, row{"ab?c", {{"a"}, {"c"}}},
        row{"ab+c", {{"ab"}, {"c"}}}, row{"a*", {}}, row{"a|b", {{"a", "b"}}}, row{"a|b*", {}},
        row{"x(ab|cd)y", {{"x"}, {"ab", "cd"}, {"y"}}}, row{"x(ab)?y", {{"x"}, {"y"}}}, row{"[ab]c", {{"c"}}},
        row{"[]a]c", {{"c"}}}, row{"a\\.b", {{"a.b"}}}, row{"a{0,1}b", {{"b"}}}, row{"a{2}b", {{"a"}, {"b"}}},
        row{"((a)", {}}, row{"a\\Qb", {}}, row{"", {}});
    CAPTURE(pattern);
    CHECK(required_literals(pattern_dialect::pcre, {pattern, {}, false}) == factors);
}

TEST_CASE("a filter lacks no rule whose word is there", "[table][literal_filter]") {
    std::vector<std::vector<literal_factor>> rules;
    for (int i = 0; i < 2000; ++i)
        rules.push_back({{"user" + std::to_string(i) + "@"}});
    rules.push_back({{"x", "yz"}});
    const literal_filter filter(rules);
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = 0; i < 2000; ++i) {
        found.clear();
        filter.candidates("a user" + std::to_string(i) + "@b", found);
        CHECK(std::ranges::count(found, i) > 0);
        CHECK(found.size() < 20);
    }
    found.clear();
    filter.candidates("yz", found);
    CHECK(std::ranges::count(found, 2000U) > 0);
}

TEST_CASE("a table answers the same with its filter as without", "[table][literal_filter]") {
    const std::string type = GENERATE("regexp", "pcre");
    const mta::test::temporary_directory dir;
    std::string rules = "!/@/ no at\nif /special/\n/^s/ special\nendif\n";
    for (int i = 0; i < 300; ++i)
        rules += "/^(u" + std::to_string(i) + "|v" + std::to_string(i) + ")[@]/ $1!\n";
    rules += "/./ rest\n";
    REQUIRE(mta::replace_file(dir / "r", rules, 0600));
    auto table = open_table(type + ":" + (dir / "r"));
    REQUIRE(table);
    for (int round = 0; round < 2; ++round) // the filter is built on the way
        for (int i = 0; i < 300; ++i) {
            const auto n = std::to_string(i);
            CHECK((*table)->lookup("U" + n + "@x").value() == "U" + n + "!");
            CHECK((*table)->lookup("v" + n + "@x").value() == "v" + n + "!");
            CHECK((*table)->lookup("w" + n + "@x").value() == "rest");
            CHECK((*table)->lookup("u" + n).value() == "no at");
            CHECK((*table)->lookup("s" + n + "@special").value() == "special");
        }
}
