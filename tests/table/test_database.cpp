#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <mta/table/database_writer.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

TEST_CASE("a database is built, changed and read", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree");
    const auto style = GENERATE(terminator::with, terminator::without);
    const auto name = dir / "t";
    auto writer = database_writer::create(type, name, 0640, style);
    REQUIRE(writer);
    CHECK(writer->insert("a", "1").value());
    CHECK(writer->insert("b", "2").value());
    CHECK_FALSE(writer->insert("a", "3").value());
    CHECK_FALSE(std::filesystem::exists(name + ".db")); // nobody sees half of it
    REQUIRE(writer->finish());
    struct stat status {};
    REQUIRE(::stat((name + ".db").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);

    auto table = open_table(type + ":" + name);
    REQUIRE(table);
    CHECK((*table)->lookup("a").value() == "1");
    CHECK_FALSE((*table)->lookup("x").value());
    CHECK_FALSE((*table)->changed());

    auto change = database_writer::update(type, name, 0600, style);
    REQUIRE(change);
    REQUIRE(change->replace("a", "9"));
    CHECK(change->remove("b").value());
    CHECK_FALSE(change->remove("b").value());
    REQUIRE(change->finish());
    auto again = open_table(type + ":" + name);
    REQUIRE(again);
    CHECK((*again)->lookup("a").value() == "9");
    CHECK_FALSE((*again)->lookup("b").value());
    int entries = 0;
    REQUIRE((*again)->walk([&](std::string_view key, std::string_view value) {
        CHECK(key == "a");
        CHECK(value == "9");
        ++entries;
        return true;
    }));
    CHECK(entries == 1);
}

TEST_CASE("a build that is given up leaves the old database", "[table][database]") {
    const mta::test::temporary_directory dir;
    const auto name = dir / "t";
    {
        auto writer = database_writer::create("hash", name, 0600, terminator::with);
        REQUIRE(writer->insert("a", "old").value());
        REQUIRE(writer->finish());
    }
    {
        auto writer = database_writer::create("hash", name, 0600, terminator::with);
        REQUIRE(writer->insert("a", "new").value());
    }
    CHECK((*open_table("hash:" + name))->lookup("a").value() == "old");
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("a missing database is named", "[table][database]") {
    CHECK(open_table("hash:/nonexistent/t").error().text() ==
          "open database /nonexistent/t.db: No such file or directory");
}
