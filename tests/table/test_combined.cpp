#include <catch2/catch.hpp>

#include <set>

#include <mta/table/registry.hpp>

TEST_CASE("tables made of tables", "[table][combined]") {
    struct row {
        const char* why;
        const char* table;
        const char* key;
        const char* answer;
    };
    const auto [why, table, key, answer] = GENERATE(
        row{"union: all answers", "unionmap:{inline:{a=1},inline:{a=2}}", "a", "1,2"},
        row{"union: those that there are", "unionmap:{inline:{b=1}, inline:{a=2}}", "A", "2"},
        row{"union: none", "unionmap:{inline:{b=1}}", "a", "absent"},
        row{"union: trouble", "unionmap:{inline:{a=1},fail:x}", "a", "error"},
        row{"pipe: the answer is the next key", "pipemap:{inline:{a=B},inline:{b=c}}", "a", "c"},
        row{"pipe: broken", "pipemap:{inline:{a=B},inline:{c=c}}", "a", "absent"},
        row{"pipe: trouble", "pipemap:{inline:{a=b},fail:x}", "a", "error"},
        row{"pipe: braces", "pipemap:{inline:{ {a = x y} },inline:{{x y = z}}}", "a", "z"},
        row{"debug answers as what it watches", "debug:inline:{a=1}", "a", "1"});
    CAPTURE(why);
    auto opened = mta::table::open_table(table);
    REQUIRE(opened);
    const auto found = (*opened)->lookup(key);
    CHECK((found ? found->value_or("absent") : "error") == answer);
}

TEST_CASE("randmap draws each of its values", "[table][combined]") {
    auto table = mta::table::open_table("randmap:{a, {b c}}");
    REQUIRE(table);
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i)
        seen.insert((*table)->lookup("x").value().value());
    CHECK(seen.size() == 2);
}

TEST_CASE("a combined table without parts is a mistake", "[table][combined]") {
    CHECK_FALSE(mta::table::open_table("unionmap:{}"));
    CHECK_FALSE(mta::table::open_table("pipemap:inline:{a=b}"));
    CHECK_FALSE(mta::table::open_table("pipemap:{nosuch:x}"));
    CHECK_FALSE(mta::table::open_table("randmap:{"));
}
