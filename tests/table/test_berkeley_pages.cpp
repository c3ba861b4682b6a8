// Our reader of pages beside the library, in databases that the library wrote.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/berkeley_library.hpp>
#include <mta/table/berkeley_pages.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/table_writer.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;
using outcome = berkeley_pages::outcome;

namespace {

// A file in memory; counts what was asked for, so that a chain without an end is seen.
class memory_pages final : public page_source {
public:
    memory_pages(std::string_view bytes, std::size_t size) : bytes_(bytes), size_(size) {}
    std::string_view page(std::uint32_t number) override {
        ++asked;
        const std::size_t at = number * size_;
        return at + size_ <= bytes_.size() ? bytes_.substr(at, size_) : std::string_view();
    }
    std::size_t asked = 0;

private:
    std::string_view bytes_;
    std::size_t size_;
};

struct reader {
    explicit reader(std::string_view bytes)
        : layout(read_berkeley_layout(bytes.substr(0, berkeley_head_size))),
          pages(bytes, layout ? layout->page_size : 512) {}
    outcome find(std::string_view key, std::string& value) {
        if (!layout)
            return outcome::odd;
        berkeley_pages finder(*layout, pages);
        std::string_view found;
        const auto out = finder.find(key, found);
        value = found;
        return out;
    }
    std::optional<berkeley_layout> layout;
    memory_pages pages;
};

using content = std::map<std::string, std::string>;

struct recipe {
    DBTYPE kind;
    unsigned page_size;
    std::size_t entries;
    std::size_t longest_key;
    std::size_t longest_value;
    unsigned flags = 0;
};

std::string random_bytes(std::mt19937& draw, std::size_t most, unsigned alphabet) {
    std::string out(draw() % (most + 1), '\0');
    for (auto& c : out)
        c = static_cast<char>(draw() % alphabet);
    return out;
}

// Puts random entries into a new file, takes some away again and changes others.
content written(const std::string& path, const recipe& how, unsigned seed) {
    std::mt19937 draw(seed);
    auto db = create_db_handle(1U << 20U).value();
    REQUIRE(db->set_pagesize(db.get(), how.page_size) == 0);
    REQUIRE(db->set_flags(db.get(), how.flags) == 0);
    REQUIRE(db->open(db.get(), nullptr, path.c_str(), nullptr, how.kind, DB_CREATE, 0600) == 0);
    content out;
    // Few letters make keys that begin alike.
    const unsigned alphabet = seed % 2 == 0 ? 256 : 3;
    for (std::size_t i = 0; i < how.entries; ++i) {
        const auto key = random_bytes(draw, how.longest_key, alphabet);
        const auto value = random_bytes(draw, how.longest_value, 256);
        DBT from = thing(key);
        DBT to = thing(value);
        if (i % 7 == 6 && !out.empty()) {
            auto victim = out.lower_bound(key);
            victim = victim == out.end() ? out.begin() : victim;
            from = thing(victim->first);
            REQUIRE(db->del(db.get(), nullptr, &from, 0) == 0);
            out.erase(victim);
            continue;
        }
        REQUIRE(db->put(db.get(), nullptr, &from, &to, 0) == 0);
        out.emplace(key, value); // with duplicates the first counts
        if (how.flags == 0)
            out[key] = value;
    }
    return out;
}

db_ptr opened(const std::string& path) {
    auto db = create_db_handle(1U << 20U).value();
    REQUIRE(db->open(db.get(), nullptr, path.c_str(), nullptr, DB_UNKNOWN, DB_RDONLY, 0) == 0);
    return db;
}

std::optional<std::string> asked(DB& db, const std::string& key) {
    DBT from = thing(key);
    DBT value{};
    const int code = db.get(&db, nullptr, &from, &value, 0);
    REQUIRE((code == 0 || code == DB_NOTFOUND));
    return code == 0 ? std::optional(std::string(bytes_of(value))) : std::nullopt;
}

std::string all_of(const std::string& path) { return mta::read_file(path).value(); }

} // namespace

TEST_CASE("pages answer what the library answers, or leave it to the library", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const auto how = GENERATE(recipe{DB_HASH, 512, 3000, 40, 60}, recipe{DB_BTREE, 512, 3000, 40, 60},
                              recipe{DB_HASH, 4096, 20000, 30, 30}, recipe{DB_BTREE, 4096, 20000, 30, 30},
                              recipe{DB_HASH, 65536, 5000, 50, 900}, recipe{DB_BTREE, 65536, 5000, 50, 900},
                              recipe{DB_HASH, 1024, 1000, 60, 9000}, recipe{DB_BTREE, 1024, 1000, 60, 9000},
                              recipe{DB_HASH, 512, 600, 900, 900}, recipe{DB_BTREE, 512, 600, 900, 900},
                              recipe{DB_HASH, 4096, 3, 9, 9}, recipe{DB_BTREE, 4096, 3, 9, 9});
    const unsigned seed = GENERATE(1U, 2U);
    CAPTURE(how.kind, how.page_size, how.entries, how.longest_key, seed);
    const auto path = dir / "t.db";
    const auto entries = written(path, how, seed);
    const auto bytes = all_of(path);
    reader from(bytes);
    REQUIRE(from.layout);
    std::size_t wrong = 0;
    std::size_t left = 0;
    std::string found;
    for (const auto& [key, value] : entries) {
        const auto out = from.find(key, found);
        left += out == outcome::odd ? 1 : 0;
        wrong += out == outcome::absent || (out == outcome::found && found != value) ? 1 : 0;
    }
    std::mt19937 draw(seed + 100);
    for (int i = 0; i < 3000; ++i) {
        const auto key = random_bytes(draw, how.longest_key, seed % 2 == 0 ? 256 : 3);
        wrong += entries.count(key) == 0 && from.find(key, found) == outcome::found ? 1 : 0;
    }
    CHECK(wrong == 0);
    // Keys that fit no page are the library's.
    CHECK(left <= (how.longest_key > how.page_size / 8 ? entries.size() : 0));

    // Through a table nothing is left out.
    const auto table = open_table("hash:" + (dir / "t"), {.style = terminator::without});
    REQUIRE(table);
    const auto library = opened(path);
    for (const auto& [key, value] : entries) {
        const auto stored = asked(*library, key); // which loses some of the keys that fit no page
        wrong += (*table)->lookup(key).value() == (stored ? std::optional(std::string(without_nul(*stored))) : std::nullopt) ? 0 : 1;
        wrong += how.longest_key < how.page_size && stored != value ? 1 : 0;
    }
    CHECK(wrong == 0);
}

TEST_CASE("what only the library knows is left to it", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const unsigned flags = GENERATE(unsigned{DB_DUP}, unsigned{DB_DUPSORT}, unsigned{DB_CHKSUM});
    const auto kind = GENERATE(DB_HASH, DB_BTREE);
    const auto entries = written(dir / "t.db", {kind, 4096, 500, 3, 30, flags}, 2);
    CHECK_FALSE(read_berkeley_layout(all_of(dir / "t.db").substr(0, berkeley_head_size)));
    const auto table = open_table("btree:" + (dir / "t"), {.style = terminator::without});
    REQUIRE(table);
    for (const auto& [key, value] : entries)
        CHECK((*table)->lookup(key).value().has_value());
}

TEST_CASE("a head that is too short or of another kind is none", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    written(dir / "t.db", {DB_HASH, 4096, 100, 9, 9}, 2);
    const auto good = all_of(dir / "t.db").substr(0, berkeley_head_size);
    REQUIRE(read_berkeley_layout(good));
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_FALSE(read_berkeley_layout(good.substr(0, size)));
    // Page number, magic, version, page size, encryption, type, flags, parts, duplicates, hash function.
    for (const std::size_t place : {8U, 12U, 16U, 20U, 24U, 25U, 26U, 36U, 48U, 92U}) {
        auto bad = good;
        bad[place] = static_cast<char>(bad[place] ^ 5);
        CAPTURE(place);
        CHECK_FALSE(read_berkeley_layout(bad));
    }
}

TEST_CASE("a damaged file is odd or answers something, and always ends", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const auto kind = GENERATE(DB_HASH, DB_BTREE);
    const auto entries = written(dir / "t.db", {kind, 512, 400, 30, 2000}, 2);
    const auto good = all_of(dir / "t.db");
    std::mt19937 draw(5);
    for (int round = 0; round < 400; ++round) {
        auto bad = good;
        for (int i = 0; i < 40; ++i)
            bad[draw() % bad.size()] = static_cast<char>(draw());
        if (round % 4 == 0)
            bad.resize(draw() % bad.size());
        reader from(bad);
        std::string value;
        for (int i = 0; i < 5; ++i)
            (void)from.find(std::next(entries.begin(), static_cast<long>(draw() % entries.size()))->first, value);
        CHECK(from.pages.asked < 100000);
    }
}

TEST_CASE("a chain that leads to itself ends", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    written(dir / "t.db", {DB_HASH, 512, 400, 30, 60}, 2);
    auto bytes = all_of(dir / "t.db");
    for (std::size_t at = 512; at + 512 <= bytes.size(); at += 512) {
        const auto number = static_cast<std::uint32_t>(at / 512);
        std::memcpy(bytes.data() + at + 16, &number, sizeof number);
    }
    reader from(bytes);
    std::string value;
    CHECK(from.find("not there", value) == outcome::odd);
    CHECK(from.pages.asked <= 10000);
}

TEST_CASE("lookups of a batch share one lock, and others have it afterwards", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "lmdb");
    const auto name = dir / "t";
    auto writer = open_writer(type, name, {});
    REQUIRE(writer);
    REQUIRE((*writer)->insert("a", "1"));
    REQUIRE((*writer)->finish());
    writer->reset();
    auto table = open_table(type + ":" + name, {.utf8 = true});
    REQUIRE(table);
    // Another process would be needed to see fcntl locks; there flock would see nothing.
    const auto free = [&] {
        if (type == "lmdb")
            return true;
        const auto other = mta::open_file(name + ".db", O_RDWR).value();
        return mta::try_lock(other.get(), mta::lock_mode::exclusive).value();
    };
    CHECK((*table)->lookup("a").value() == "1");
    CHECK(free());
    (*table)->begin_batch();
    CHECK(free()); // before the first lookup
    CHECK((*table)->lookup("a").value() == "1");
    CHECK_FALSE((*table)->lookup("b").value());
    CHECK((type == "lmdb" || !free()));
    (*table)->end_batch();
    CHECK(free());
    CHECK((*table)->lookup("a").value() == "1");
    CHECK(free());
}

TEST_CASE("a change of the file itself is seen by the next lookup", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree", "lmdb");
    const auto name = dir / "t";
    auto writer = open_writer(type, name, {});
    REQUIRE(writer);
    for (int i = 0; i < 500; ++i)
        REQUIRE((*writer)->insert("k" + std::to_string(i), "old"));
    REQUIRE((*writer)->finish());
    writer->reset();
    auto table = open_table(type + ":" + name, {.many_lookups = true});
    REQUIRE(table);
    CHECK((*table)->lookup("k7").value() == "old");
    auto change = open_writer(type, name, {.how = write_mode::update});
    REQUIRE(change);
    for (int i = 0; i < 5000; ++i)
        REQUIRE((*change)->replace("k" + std::to_string(i), "new"));
    REQUIRE((*change)->finish());
    change->reset();
    for (int i = 0; i < 5000; ++i)
        if ((*table)->lookup("k" + std::to_string(i)).value() != "new")
            FAIL(i);
}

TEST_CASE("a change that leaves the time of the last one is seen while that is young", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const std::string type = GENERATE("hash", "btree");
    const auto name = dir / "t";
    // Not older than now, however long the test takes.
    struct timespec times[2] = {};
    REQUIRE(::clock_gettime(CLOCK_REALTIME, &times[1]) == 0);
    times[1].tv_sec += 3600;
    times[0] = times[1];
    const auto store = [&](const char* value) {
        auto writer = open_writer(type, name, {.how = write_mode::update});
        REQUIRE(writer);
        REQUIRE((*writer)->replace("a", value));
        REQUIRE((*writer)->finish());
        REQUIRE(::utimensat(AT_FDCWD, (name + ".db").c_str(), times, 0) == 0);
    };
    store("old");
    auto table = open_table(type + ":" + name);
    REQUIRE(table);
    CHECK((*table)->lookup("a").value() == "old");
    store("new");
    CHECK((*table)->lookup("a").value() == "new");
}

TEST_CASE("a file that is cut short under a table is trouble", "[table][berkeley]") {
    const mta::test::temporary_directory dir;
    const auto entries = written(dir / "t.db", {DB_HASH, 4096, 20000, 30, 30}, 2);
    auto table = open_table("hash:" + (dir / "t"), {.style = terminator::without, .many_lookups = true});
    REQUIRE(table);
    REQUIRE((*table)->lookup(entries.begin()->first).value());
    REQUIRE(::truncate((dir / "t.db").c_str(), 8192) == 0);
    std::size_t absent = 0;
    std::size_t errors = 0;
    for (const auto& [key, value] : entries) {
        const auto found = (*table)->lookup(key);
        errors += found ? 0 : 1;
        absent += found && !*found ? 1 : 0;
    }
    CHECK(errors > entries.size() * 9 / 10);
    CHECK(absent == 0);
}
