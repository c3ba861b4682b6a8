#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/match_list.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

TEST_CASE("domain lists", "[table][match_list]") {
    struct row {
        const char* why;
        std::vector<std::string> words;
        parent_style style;
        const char* name;
        bool matches;
    };
    const auto exact = parent_style::exact;
    const auto parents = parent_style::subdomains;
    const auto names = parent_style::words;
    const auto [why, words, style, name, matches] = GENERATE_COPY(
        row{"the name", {"a.test"}, exact, "A.Test", true}, row{"another", {"a.test"}, exact, "b.test", false},
        row{"a subdomain is another", {"a.test"}, exact, "x.a.test", false},
        row{"unless parents match", {"a.test"}, parents, "x.a.test", true},
        row{"not a longer name", {"a.test"}, parents, "xa.test", false},
        row{"a suffix", {".a.test"}, exact, "x.a.test", true},
        row{"a suffix is not the name", {".a.test"}, exact, "a.test", false},
        row{"the first match decides", {"!x.a.test", ".a.test"}, exact, "x.a.test", false},
        row{"a table", {"inline:{a.test=1}"}, exact, "a.test", true},
        row{"a table's parents", {"inline:{a.test=1}"}, parents, "x.a.test", true},
        row{"a table's suffixes", {"inline:{.a.test=1}"}, exact, "x.y.a.test", true},
        row{"a table's parent is another name", {"inline:{a.test=1}"}, exact, "x.a.test", false},
        row{"names only", {".a.test", "a.test"}, names, "x.a.test", false},
        row{"names only, in tables too", {"inline:{.a.test=1}"}, names, "x.a.test", false});
    CAPTURE(why);
    auto list = match_list::open("test", words, style);
    REQUIRE(list);
    CHECK(list->matches_name(name).value() == matches);
}

TEST_CASE("networks", "[table][match_list]") {
    struct row {
        std::vector<std::string> words;
        const char* address;
        bool matches;
    };
    const auto [words, address, matches] = GENERATE(
        row{{"127.0.0.0/8"}, "127.9.9.9", true}, row{{"127.0.0.0/8"}, "128.0.0.1", false},
        row{{"192.0.2.128/25"}, "192.0.2.127", false}, row{{"192.0.2.128/25"}, "192.0.2.128", true},
        row{{"[2001:db8::]/32"}, "2001:db8::1", true}, row{{"[2001:db8::]/32"}, "2001:db9::1", false},
        row{{"192.0.2.1"}, "192.0.2.1", true}, row{{"!192.0.2.1", "192.0.2.0/24"}, "192.0.2.1", false},
        row{{"192.0.2.0/24"}, "::1", false}, row{{"0.0.0.0/0"}, "9.9.9.9", true});
    CAPTURE(words, address);
    auto list = match_list::open("test", words);
    REQUIRE(list);
    CHECK(list->matches_host("unknown", address).value() == matches);
}

TEST_CASE("a bad network is an error, and so is a table without an answer", "[table][match_list]") {
    CHECK_FALSE(match_list::open("test", {"192.0.2.0/33"}));
    CHECK_FALSE(match_list::open("test", {"a/b"}));
    CHECK_FALSE(match_list::open("test", {"!"}));
    auto list = match_list::open("test", {"fail:x"});
    REQUIRE(list);
    CHECK_FALSE(list->matches_name("a"));
}

TEST_CASE("words come from files too", "[table][match_list]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "f", "# ours\na.test, b.test\n!c.test\n", 0600));
    auto list = match_list::open("test", {dir / "f", "c.test"});
    REQUIRE(list);
    CHECK(list->matches_name("b.test").value());
    CHECK_FALSE(list->matches_name("c.test").value());
    CHECK_FALSE(match_list::open("test", {dir / "absent"}));
}
