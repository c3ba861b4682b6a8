#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include <mta/core/file.hpp>
#include <mta/table/entry_sorter.hpp>
#include <mta/table/patience.hpp>
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

bool open_and_close(const std::string& name) {
    return static_cast<bool>(mta::open_file(name + ".lmdb", O_RDWR));
}

// Entries as a build hands them to a writer of that type.
class sorted_entries {
public:
    sorted_entries(const std::string& type, terminator style = terminator::unknown, std::size_t in_memory = 0)
        : store_("/tmp", in_memory), runs_(store_, on_duplicate::keep_first, nullptr), rank_(load_rank(type, {.style = style})) {}
    void add(std::string_view key, std::string_view value) {
        REQUIRE(runs_.add(key, value, 0, rank_ != nullptr ? rank_(key) : 0));
    }
    entry_source& all() {
        auto runs = runs_.finish();
        REQUIRE(runs);
        return merged_.emplace(store_, std::move(*runs), on_duplicate::keep_first, nullptr);
    }

private:
    spill_store store_;
    run_builder runs_;
    key_rank rank_;
    std::optional<entry_merge> merged_;
};

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
    for (int round = 0; round < 2; ++round) { // the second replaces the first
        sorted_entries entries(type);
        for (const auto& key : keys)
            entries.add(key, key);
        auto writer = start(type, name);
        REQUIRE(writer->load(entries.all()));
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
    sorted_entries list(type, style);
    std::vector<std::pair<std::string, std::string>> expected;
    for (int i = 0; i < 3000; ++i) {
        const auto number = std::to_string(i * 7919 % 3000);
        const std::string key = "the same beginning " + std::string(static_cast<std::size_t>(i % 5), 'x') + number;
        // Some fill a call of the library, some are larger than one.
        const std::size_t size = i % 1000 == 1 ? 400000 : i % 100 == 2 ? 30000 : static_cast<std::size_t>(i % 50);
        expected.emplace_back(key, number + std::string(size, 'v'));
        list.add(key, expected.back().second);
    }
    list.add("the same", "short");
    expected.emplace_back("the same", "short");
    auto writer = start(type, name, write_mode::create, style);
    REQUIRE(writer->load(list.all()));
    REQUIRE(writer->finish());
    auto table = open_table(type + ":" + name, {.style = style});
    REQUIRE(table);
    std::size_t wrong = 0;
    for (const auto& [key, value] : expected)
        wrong += (*table)->lookup(key).value() == value ? 0 : 1;
    CHECK(wrong == 0);
}

TEST_CASE("a file that is written to beside an open transaction of its own is not the one that is renamed", "[table][database]") {
    // Whoever changes a database while it is replaced changes the new one.
    const mta::test::temporary_directory dir;
    const auto name = dir / "t";
    REQUIRE(start("lmdb", name)->finish());
    auto build = start("lmdb", name);
    REQUIRE(build->insert("a", "built").value());
    REQUIRE(build->finish());
    auto change = start("lmdb", name, write_mode::change);
    REQUIRE(change->replace("b", "changed"));
    REQUIRE(change->finish());
    CHECK(ask("lmdb", name, "a") == "built");
    CHECK(ask("lmdb", name, "b") == "changed");
}

TEST_CASE("where nothing can be put beside a database, its content is replaced in the file", "[table][database]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree", "lmdb", "cdb");
    const auto name = dir / "t";
    auto writer = start(type, name);
    REQUIRE(writer->insert("a", "old").value());
    REQUIRE(writer->finish());
    writer.reset();
    std::filesystem::create_directory(path_of(type, name) + ".new"); // root may write to any directory
    struct stat before {};
    REQUIRE(::stat(path_of(type, name).c_str(), &before) == 0);
    sorted_entries entries(type);
    for (int i = 0; i < 2000; ++i)
        entries.add("key" + std::to_string(i), "new");
    writer = start(type, name);
    REQUIRE(writer->load(entries.all()));
    REQUIRE(writer->finish());
    writer.reset();
    struct stat after {};
    REQUIRE(::stat(path_of(type, name).c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(ask(type, name, "a") == "absent");
    CHECK(ask(type, name, "key1999") == "new");
}

TEST_CASE("environments of one process keep each other out while one writes", "[table][database]") {
    const mta::test::temporary_directory dir;
    const auto name = dir / "t";
    auto writer = start("lmdb", name);
    REQUIRE(writer->insert("a", "1").value());
    REQUIRE(writer->finish());
    auto first = open_table("lmdb:" + name);
    REQUIRE(first);
    writer = start("lmdb", name, write_mode::change);
    REQUIRE(writer->replace("a", "2"));
    {
        const no_waiting now;
        CHECK_FALSE((*first)->lookup("a"));
    }
    REQUIRE(open_and_close(name)); // ends nobody's lock
    {
        const no_waiting now;
        CHECK_FALSE((*first)->lookup("a"));
    }
    REQUIRE(writer->finish());
    CHECK((*first)->lookup("a").value() == "2");
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
