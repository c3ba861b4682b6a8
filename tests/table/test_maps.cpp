#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/maps.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

using mta::table::maps;

TEST_CASE("the first table that knows the key answers", "[table][maps]") {
    auto tables = maps::open("test", {"inline:{ a=1, {b = two words} }", "inline:{a=9, c=3}"});
    REQUIRE(tables);
    CHECK(tables->find("a").value() == "1");
    CHECK(tables->find("B").value() == "two words"); // keys are folded
    CHECK(tables->find("c").value() == "3");
    CHECK_FALSE(tables->find("d").value());
}

TEST_CASE("trouble is never \"not found\"", "[table][maps]") {
    auto tables = maps::open("test", {"fail:x", "inline:{a=1}"});
    REQUIRE(tables);
    const auto answer = tables->find("a");
    REQUIRE_FALSE(answer);
    CHECK(mta::is_temporary(answer.error().code));
}

TEST_CASE("a missing file is trouble until it is there", "[table][maps]") {
    const mta::test::temporary_directory dir;
    auto tables = maps::open("test", {"texthash:" + (dir / "t")});
    REQUIRE(tables);
    CHECK_FALSE(tables->find("a"));
}

TEST_CASE("a mistake in the name is an error at once", "[table][maps]") {
    CHECK(maps::open("test", {"nosuch:x"}).error().text() == "unsupported dictionary type: nosuch");
    CHECK_FALSE(maps::open("test", {"hash"}));
    CHECK_FALSE(maps::open("test", {"inline:{a"}));
    CHECK_FALSE(maps::open("test", {"unix:shadow.byname"}));
}

TEST_CASE("tables of patterns see whole keys only", "[table][maps]") {
    auto tables = maps::open("test", {"static:{all of it}"});
    REQUIRE(tables);
    CHECK(tables->find("x").value() == "all of it");
    CHECK_FALSE(tables->find("x", maps::key_kind::part).value());
}

TEST_CASE("texthash and proxy", "[table][maps]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "A one\nb  two\n", 0600));
    auto tables = maps::open("test", {"proxy:texthash:" + (dir / "t")});
    REQUIRE(tables);
    CHECK(tables->find("a").value() == "one");
}

TEST_CASE("the registry is sorted and knows what is not built", "[table][registry]") {
    const auto names = mta::table::type_names();
    CHECK(std::is_sorted(names.begin(), names.end()));
    CHECK(mta::table::find_type("inline") == mta::table::known::usable);
    CHECK(mta::table::find_type("sdbm") == mta::table::known::not_built);
    CHECK(mta::table::find_type("x") == mta::table::known::unknown);
}
