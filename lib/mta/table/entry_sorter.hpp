// Puts the entries of a source in order on their way into a database, however many they are: sorted runs of bounded size,
// put away (spill_store.hpp), and merged when they are asked for.
//
// The order is that of ranks, then of the keys' bytes, then that in which they came.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/table/spill_store.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {

// What a second entry of a key does. Those that are all kept stay in their order, whatever their keys: ranks alone count.
enum class on_duplicate { keep_first, take_last, keep_all };

// Of a build's entries, before they go to a file.
inline constexpr std::size_t most_in_memory = 16U << 20U;

// Entries in order, put away.
struct entry_run {
    spill_store::piece where;
    std::size_t entries = 0;
};
using entry_runs = std::vector<entry_run>;

// Hears of every entry that gives way to another one of its key.
using duplicate_told = std::function<result<void>(const database_entry&)>;

// Makes runs. One thread's; several may share a store.
class run_builder {
public:
    run_builder(spill_store& store, on_duplicate policy, duplicate_told told)
        : store_(store), policy_(policy), told_(std::move(told)) {}

    // A key or a value of more than 2 GiB is errc::too_large.
    [[nodiscard]] result<void> add(std::string_view key, std::string_view value, int line, std::uint32_t rank = 0);
    // All that was added since the last call.
    [[nodiscard]] result<entry_runs> finish();

private:
    [[nodiscard]] result<void> flush();
    [[nodiscard]] result<std::string> in_order(std::size_t& entries);

    spill_store& store_;
    on_duplicate policy_;
    duplicate_told told_;
    std::string bytes_;                 // records
    std::vector<std::uint32_t> places_; // where each begins
    bool ordered_ = true;               // as they came
    entry_runs runs_;
};

// Gives the entries of all runs, in order. Those of earlier runs came earlier.
class entry_merge final : public entry_source {
public:
    // store must outlive this.
    entry_merge(const spill_store& store, entry_runs runs, on_duplicate policy, duplicate_told told);
    ~entry_merge() override;

    [[nodiscard]] totals at_most() const noexcept override { return at_most_; }
    // Duplicates are told of but once.
    [[nodiscard]] result<void> rewind() override;
    [[nodiscard]] result<const database_entry*> next() override;

private:
    class cursor;
    [[nodiscard]] bool before(const cursor& a, const cursor& b) const noexcept;
    [[nodiscard]] result<void> advance_first();
    void settle(std::size_t from);
    void hold();

    const spill_store& store_;
    entry_runs runs_;
    on_duplicate policy_;
    duplicate_told told_;
    totals at_most_;
    std::vector<cursor> cursors_;
    std::vector<cursor*> heap_; // the least first
    bool started_ = false;
    database_entry held_;
    std::uint32_t rank_ = 0; // of held_
    std::string key_;
    std::string value_;
};

} // namespace mta::table
