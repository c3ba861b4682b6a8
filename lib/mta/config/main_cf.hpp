// The syntax of main.cf: logical lines of "name = value".
//
// A line that begins with a blank continues the one before; lines that are empty, or whose first non-blank character
// is #, are skipped wherever they stand, also within a continued value. The last value of a name wins.
//
// No I/O, no expansion. Settings own their bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {

struct main_setting {
    std::string name;
    std::string value;
    int line = 0;         // where the logical line begins
    std::size_t file = 0; // which one, for a reader of several
};

struct main_file {
    std::vector<main_setting> settings; // in file order, duplicates included
    std::vector<std::string> warnings;  // lines that begin with a blank and continue nothing
};

// One logical line of main.cf or master.cf.
struct logical_line {
    std::string text; // continuation lines joined as they stand, without line ends; ends at a NUL byte
    int first = 0;
    int last = 0;
    std::size_t begin = 0; // the bytes of the file it takes, line ends included
    std::size_t end = 0;
};

// Reads the next logical line at `at` and moves it on; false at the end. line counts physical lines read so far.
[[nodiscard]] bool next_logical_line(std::string_view text, std::size_t& at, int& line, logical_line& out);

// Whether a logical line begins with a blank: it continues nothing and is skipped with a warning.
[[nodiscard]] bool begins_blank(const logical_line& line) noexcept;

// Errors: `PATH, line N: missing '=' after attribute name: "…"`.
[[nodiscard]] result<main_file> parse_main(std::string_view text, std::string_view path);

} // namespace mta::config
