// The entries of a source on their way into a database.
//
// Keys and values are copied into blocks of memory, each with a NUL behind it, as databases want them. No I/O.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <mta/table/table_writer.hpp>

namespace mta::table {

// What a second entry of a key does.
enum class on_duplicate { keep_first, take_last };

class entry_list {
public:
    void add(std::string_view key, std::string_view value, int line);

    // As they came.
    [[nodiscard]] std::span<const database_entry> entries() const noexcept { return entries_; }
    // By the bytes of their keys, each key once. dropped hears of every entry whose key an earlier one has, whichever
    // of the two stays.
    [[nodiscard]] std::span<const database_entry> sorted(on_duplicate policy,
                                                         const std::function<void(const database_entry&)>& dropped);

private:
    [[nodiscard]] std::string_view keep(std::string_view text);
    void sort();

    std::vector<database_entry> entries_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    char* free_ = nullptr; // in the last block
    std::size_t room_ = 0;
};

} // namespace mta::table
