// Reads a source into runs of entries, and keeps what is to be said about its lines, to be said in their order.
//
// A source of more than some megabytes is read in parts, on two threads where there are two processors; what comes of it is
// the same.
#pragma once

#include <string>

#include <mta/core/progress.hpp>
#include <mta/table/entry_sorter.hpp>
#include <mta/table/table_command.hpp>

namespace mta::table {

// How lines become entries.
struct source_rules {
    const command_style& style;
    std::string title;    // of the source, in messages
    std::string database; // in messages about duplicates
    bool utf8 = false;
    bool fold = true;
    bool file_values = false;
    bool tell_duplicates = true;
    on_duplicate policy = on_duplicate::keep_first;
    key_rank rank = nullptr;

    [[nodiscard]] std::string duplicate(std::string_view key) const {
        return database + ": duplicate entry: \"" + std::string(key) + "\"";
    }
};

struct source_content {
    entry_runs entries;
    entry_runs messages; // their ranks are numbers of lines, their values what to say
};

// processors: 0 for those of the machine.
[[nodiscard]] result<source_content> read_source(const source_rules& rules, spill_store& store, int fd, std::size_t size,
                                                 unsigned processors = 0);

// What is said about lines: runs that are ranked by line.
class line_messages {
public:
    explicit line_messages(spill_store& store) : runs_(store, on_duplicate::keep_all, nullptr) {}
    [[nodiscard]] result<void> add(int line, std::string_view text) { return runs_.add({}, text, line, static_cast<std::uint32_t>(line)); }
    [[nodiscard]] result<entry_runs> finish() { return runs_.finish(); }

private:
    run_builder runs_;
};

} // namespace mta::table
