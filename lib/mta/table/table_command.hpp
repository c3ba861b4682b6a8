// What postmap and postalias have in common: building, changing, asking and listing tables from a command line.
//
// The two differ in how a source line becomes an entry and in how hits are printed: a command_style says so.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <mta/config/command_log.hpp>
#include <mta/core/result.hpp>

namespace mta::table {

struct source_entry {
    std::string_view key;
    std::string_view value;
    std::string_view remark; // a warning; the entry counts all the same
};

class entry_parser {
public:
    virtual ~entry_parser() = default;
    // One logical line of source. What is answered stays until the next call. The error is a warning's text
    // ("expected format: key whitespace value").
    [[nodiscard]] virtual result<source_entry> parse(std::string_view line) = 0;
};

struct command_style {
    std::string_view letters;   // getopt specification
    std::string_view usage;     // of the fatal line
    std::string_view help;      // of --help
    std::string_view separator; // between key and value of a hit
    bool alias_records = false; // "@" and the NIS records
    entry_parser* parser = nullptr;
};

// Runs the command and returns its exit status; fatal trouble ends the process with its message.
[[nodiscard]] int run_table_command(std::span<const char* const> words, const command_style& style,
                                    config::command_log& log);

} // namespace mta::table
