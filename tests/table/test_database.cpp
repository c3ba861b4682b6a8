#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <mta/table/entry_list.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/table_writer.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

namespace {

writer_ptr start(const std::string& type, const std::string& name, write_mode how = write_mode::create,
                 terminator style = terminator::unknown) {
    auto out = open_writer(type, name, {.how = how, .mode = 0640, .style = style});
    REQUIRE(out);
    return std::move(*out);
}

std::string path_of(const std::string& type, const std::string& name) {
    return name + (type == "lmdb" || type == "cdb" ? "." + type : ".db");
}

std::string ask(const std::string& type, const std::string& name, const std::string& key) {
    const auto table = open_table(type + ":" + name);
    REQUIRE(table);
    return (*table)->lookup(key).value().value_or("absent");
}

} // namespace

TEST_CASE("a database is built, changed and read", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree", "lmdb");
    const auto style = GENERATE(terminator::unknown, terminator::with, terminator::without);
    const auto name = dir / "t";
    auto writer = start(type, name, write_mode::create, style);
    CHECK(writer->insert("a", "1").value());
    CHECK(writer->insert("b", "2").value());
    CHECK_FALSE(writer->insert("a", "3").value());
    REQUIRE(writer->finish());
    struct stat status {};
    REQUIRE(::stat(path_of(type, name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);

    auto table = open_table(type + ":" + name);
    REQUIRE(table);
    CHECK((*table)->lookup("a").value() == "1");
    CHECK_FALSE((*table)->lookup("x").value());
    CHECK_FALSE((*table)->lookup("").value());
    CHECK_FALSE((*table)->lookup(std::string(5000, 'k')).value());
    CHECK_FALSE((*table)->changed());

    auto change = start(type, name, write_mode::change, style);
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

TEST_CASE("many sorted entries are loaded at once", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree", "lmdb", "cdb");
    const auto name = dir / "t";
    std::vector<std::string> keys;
    for (int i = 100000; i < 105000; ++i)
        keys.push_back(std::to_string(i));
    std::vector<database_entry> entries;
    for (const auto& key : keys)
        entries.push_back({key, key});
    for (int round = 0; round < 2; ++round) { // the second replaces the first
        auto writer = start(type, name);
        REQUIRE(writer->load(entries));
        REQUIRE(writer->finish());
    }
    auto table = open_table(type + ":" + name);
    REQUIRE(table);
    std::size_t wrong = 0;
    for (const auto& key : keys)
        wrong += (*table)->lookup(key).value() == key ? 0 : 1;
    CHECK(wrong == 0);
    std::size_t seen = 0;
    REQUIRE((*table)->walk([&](std::string_view, std::string_view) { return ++seen != 0; }));
    CHECK(seen == keys.size());
}

TEST_CASE("entries of any size and beginning are loaded at once", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree");
    const auto style = GENERATE(terminator::with, terminator::without);
    const auto name = dir / "t";
    entry_list list;
    std::vector<std::pair<std::string, std::string>> expected;
    for (int i = 0; i < 3000; ++i) {
        const auto number = std::to_string(i * 7919 % 3000);
        const std::string key = "the same beginning " + std::string(static_cast<std::size_t>(i % 5), 'x') + number;
        // Some fill a call of the library, some are larger than one.
        const std::size_t size = i % 1000 == 1 ? 400000 : i % 100 == 2 ? 30000 : static_cast<std::size_t>(i % 50);
        expected.emplace_back(key, number + std::string(size, 'v'));
        list.add(key, expected.back().second, i);
    }
    list.add("the same", "short", 1);
    expected.emplace_back("the same", "short");
    const auto sorted = list.sorted(on_duplicate::keep_first, [](const database_entry&) { FAIL("no duplicates"); });
    CHECK(std::ranges::is_sorted(sorted, {}, &database_entry::key));
    auto writer = start(type, name, write_mode::create, style);
    REQUIRE(writer->load(sorted));
    REQUIRE(writer->finish());
    auto table = open_table(type + ":" + name, {.style = style});
    REQUIRE(table);
    std::size_t wrong = 0;
    for (const auto& [key, value] : expected)
        wrong += (*table)->lookup(key).value() == value ? 0 : 1;
    CHECK(wrong == 0);
}

TEST_CASE("keys are sorted by all of their bytes", "[table][database]") {
    entry_list list;
    const std::string zero("ab\0", 3);
    const std::vector<std::string> keys{"abc", "ab", zero, "ab\xff", "abcdefgh12345678z", "abcdefgh12345678a", "abcdefgh1", "ab"};
    for (std::size_t i = 0; i < keys.size(); ++i)
        list.add(keys[i], std::to_string(i), static_cast<int>(i));
    int dropped = 0;
    const auto sorted = list.sorted(on_duplicate::keep_first, [&](const database_entry& one) { dropped = one.line; });
    CHECK(dropped == 7);
    std::vector<std::string> seen;
    for (const auto& one : sorted)
        seen.emplace_back(one.key);
    CHECK(seen == std::vector<std::string>{"ab", zero, "abc", "abcdefgh1", "abcdefgh12345678a", "abcdefgh12345678z", "ab\xff"});
}

TEST_CASE("a build that is given up leaves the old database", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree", "lmdb", "cdb");
    const auto name = dir / "t";
    auto writer = start(type, name);
    REQUIRE(writer->insert("a", "old").value());
    REQUIRE(writer->finish());
    writer = start(type, name);
    REQUIRE(writer->insert("a", "new").value());
    writer.reset();
    CHECK(ask(type, name, "a") == "old");
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("a database keeps its mode, and a link to it stays a link", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "cdb");
    const auto name = dir / "t";
    const auto path = path_of(type, dir / "real");
    REQUIRE(start(type, dir / "real")->finish());
    REQUIRE(::chmod(path.c_str(), 0604) == 0);
    REQUIRE(::symlink(path.c_str(), path_of(type, name).c_str()) == 0);
    auto writer = start(type, name);
    REQUIRE(writer->insert("a", "1").value());
    REQUIRE(writer->finish());
    CHECK(std::filesystem::is_symlink(path_of(type, name)));
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0604);
    CHECK(ask(type, name, "a") == "1");
}

TEST_CASE("types that cannot be written say so", "[table][database]") {
    CHECK(open_writer("regexp", "t", {}).error().text() ==
          "unsupported dictionary type: regexp does not support bulk-mode creation.");
    CHECK(open_writer("regexp", "t", {.how = write_mode::change}).error().text() ==
          "regexp:t map requires O_RDONLY access mode");
    CHECK(open_writer("hash", "/nonexistent/t", {.how = write_mode::change}).error().text() ==
          "open database /nonexistent/t.db: No such file or directory");
}

TEST_CASE("a missing database is named", "[table][database]") {
    CHECK(open_table("hash:/nonexistent/t").error().text() ==
          "open database /nonexistent/t.db: No such file or directory");
}
