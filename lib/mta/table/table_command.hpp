// What postmap and postalias have in common: building, changing, asking and listing tables from a command line.
//
// The two differ in how a source line becomes an entry and in how hits are printed: a command_style says so.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <mta/config/command_log.hpp>
#include <mta/table/entry_parser.hpp>

namespace mta::table {

struct command_style {
    std::string_view letters;   // getopt specification
    std::string_view usage;     // of the fatal line
    std::string_view help;      // of --help
    std::string_view separator; // between key and value of a hit
    bool alias_records = false; // "@" and the NIS records
    std::unique_ptr<entry_parser> (*parser)() = nullptr;
};

// Runs the command and returns its exit status; fatal trouble ends the process with its message.
[[nodiscard]] int run_table_command(std::span<const char* const> words, const command_style& style,
                                    config::command_log& log);

} // namespace mta::table
