// How a name and its value are shown.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "options.hpp"

namespace mta::postconf {

// "name = value": runs of blanks become one; -h and -H leave a side out, -f folds lines, -j and --json make JSON.
// An origin stands in front, "FILE:LINE: "; as JSON {"name": …, "value": …, "origin": …}.
void print_value(std::FILE* out, const options& opt, std::string_view name, std::string_view value,
                 std::string_view origin = {});

// The same with the value as it stands, never folded.
void print_text(std::FILE* out, const options& opt, std::string_view name, std::string_view value,
                std::string_view origin = {});

// text as it stands, and a line end.
void print_line(std::FILE* out, std::string_view text);

// value with its $names replaced; text that cannot be expanded ends the process.
[[nodiscard]] std::string expanded(const configuration& cfg, std::string_view value, config::command_log& log);

} // namespace mta::postconf
