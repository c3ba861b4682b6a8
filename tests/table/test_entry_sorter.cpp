#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include <mta/table/entry_sorter.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

namespace {

struct row {
    std::string key;
    std::string value;
    int line = 0;
    std::uint32_t rank = 0;
    bool operator==(const row&) const = default;
};

std::vector<row> all_of(entry_source& from) {
    std::vector<row> out;
    for (auto one = from.next();; one = from.next()) {
        REQUIRE(one);
        if (*one == nullptr)
            return out;
        CHECK((*one)->key.data()[(*one)->key.size()] == '\0');
        CHECK((*one)->value.data()[(*one)->value.size()] == '\0');
        out.push_back({std::string((*one)->key), std::string((*one)->value), (*one)->line});
    }
}

// Several builders' runs, as several parts of a source make them.
std::vector<row> sorted(spill_store& store, const std::vector<row>& rows, on_duplicate policy, std::size_t part,
                        std::vector<int>* told = nullptr) {
    const auto tell = [told](const database_entry& one) {
        if (told != nullptr)
            told->push_back(one.line);
        return mta::result<void>();
    };
    entry_runs runs;
    for (std::size_t i = 0; i < rows.size(); i += part) {
        run_builder builder(store, policy, tell);
        for (std::size_t j = i; j < std::min(i + part, rows.size()); ++j)
            REQUIRE(builder.add(rows[j].key, rows[j].value, rows[j].line, rows[j].rank));
        auto more = builder.finish();
        REQUIRE(more);
        std::ranges::move(*more, std::back_inserter(runs));
    }
    entry_merge merged(store, std::move(runs), policy, tell);
    return all_of(merged);
}

} // namespace

TEST_CASE("entries are sorted by all of their keys' bytes", "[table][entry_sorter]") {
    const std::string zero("ab\0", 3);
    const std::vector<std::string> keys{"abc", "ab", zero, "ab\xff", "abcdefgh12345678z", "abcdefgh12345678a", "abcdefgh1", "ab"};
    const auto part = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{8});
    const auto in_memory = GENERATE(std::size_t{0}, std::size_t{100}, std::size_t{1} << 20U);
    CAPTURE(part, in_memory);
    spill_store store("/tmp", in_memory);
    std::vector<row> rows;
    for (const auto& key : keys)
        rows.push_back({key, "v", static_cast<int>(rows.size())});
    std::vector<int> told;
    std::vector<std::string> seen;
    for (const auto& one : sorted(store, rows, on_duplicate::keep_first, part, &told))
        seen.push_back(one.key);
    CHECK(told == std::vector<int>{7});
    CHECK(seen == std::vector<std::string>{"ab", zero, "abc", "abcdefgh1", "abcdefgh12345678a", "abcdefgh12345678z", "ab\xff"});
}

TEST_CASE("of many runs, in memory or not, each key comes once, and every duplicate is told of", "[table][entry_sorter]") {
    std::mt19937 draw(7);
    std::vector<row> rows;
    const bool ranked = GENERATE(false, true);
    for (int i = 0; i < 20000; ++i) {
        const auto number = draw() % 12000;
        // Some are larger than what is read of a run at once.
        const std::size_t size = i % 5000 == 17 ? 300000 : draw() % 40;
        const auto rank = ranked ? static_cast<std::uint32_t>(number * 2654435761U) : 0;
        rows.push_back({"key" + std::to_string(number), std::to_string(i) + std::string(size, 'v'), i, rank});
    }
    const auto policy = GENERATE(on_duplicate::keep_first, on_duplicate::take_last);
    const auto part = GENERATE(std::size_t{700}, std::size_t{100000});
    const auto in_memory = GENERATE(std::size_t{0}, std::size_t{200000}, std::size_t{64} << 20U);
    CAPTURE(ranked, part, in_memory);
    std::map<std::pair<std::uint32_t, std::string>, row> expected;
    std::vector<int> dropped;
    for (const auto& one : rows) {
        const auto [place, fresh] = expected.try_emplace({one.rank, one.key}, one);
        if (!fresh)
            dropped.push_back(policy == on_duplicate::take_last ? place->second.line : one.line);
        if (!fresh && policy == on_duplicate::take_last)
            place->second = one;
    }
    const mta::test::temporary_directory dir;
    spill_store store(dir.path(), in_memory);
    std::vector<int> told;
    const auto seen = sorted(store, rows, policy, part, &told);
    std::ranges::sort(told);
    std::ranges::sort(dropped);
    CHECK((told == dropped));
    REQUIRE(seen.size() == expected.size());
    std::size_t wrong = 0;
    for (std::size_t at = 0; const auto& [key, one] : expected) {
        wrong += seen[at].key == one.key && seen[at].value == one.value && seen[at].line == one.line ? 0 : 1;
        ++at;
    }
    CHECK(wrong == 0);
    CHECK(std::filesystem::is_empty(dir.path())); // what is put away has no name
}

TEST_CASE("entries that are all kept stay in their order", "[table][entry_sorter]") {
    spill_store store("/tmp", GENERATE(std::size_t{0}, std::size_t{1} << 20U));
    std::vector<row> rows;
    for (int i = 0; i < 1000; ++i)
        rows.push_back({"k" + std::to_string(i * 7 % 10), std::to_string(i), i, static_cast<std::uint32_t>(i % 3)});
    const auto seen = sorted(store, rows, on_duplicate::keep_all, 90);
    auto expected = rows;
    std::ranges::stable_sort(expected, {}, &row::rank);
    REQUIRE(seen.size() == expected.size());
    for (std::size_t i = 0; i < seen.size(); ++i)
        CHECK(seen[i].value == expected[i].value);
}

TEST_CASE("entries come again, and duplicates are told of once", "[table][entry_sorter]") {
    spill_store store("/tmp", 0);
    entry_runs runs;
    for (const char* value : {"1", "2"}) {
        run_builder builder(store, on_duplicate::keep_first, nullptr);
        REQUIRE(builder.add("a", value, 1));
        REQUIRE(builder.add("b", value, 2));
        auto more = builder.finish();
        REQUIRE(more);
        std::ranges::move(*more, std::back_inserter(runs));
    }
    int told = 0;
    entry_merge merged(store, std::move(runs), on_duplicate::keep_first, [&](const database_entry&) {
        ++told;
        return mta::result<void>();
    });
    CHECK(merged.at_most().entries == 4);
    CHECK(merged.at_most().bytes == 8);
    const auto first = all_of(merged);
    REQUIRE(merged.rewind());
    CHECK(all_of(merged) == first);
    CHECK(first == std::vector<row>{{"a", "1", 1}, {"b", "1", 2}});
    CHECK(told == 2);
}

TEST_CASE("a directory that may not be written to is no obstacle", "[table][entry_sorter]") {
    spill_store store("/nonexistent", 0);
    const auto put = store.put("bytes");
    REQUIRE(put);
    std::string back(3, ' ');
    REQUIRE(store.read(*put, 1, back));
    CHECK(back == "yte");
}
