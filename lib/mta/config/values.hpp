// The spelling of typed values in main.cf and master.cf: numbers, times, yes/no, lists, compatibility levels.
//
// No I/O; pieces own their bytes. Error texts are those that mail administrators know and need the "name = value" of the
// caller in front of nothing: they are complete.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {

// name is used in the error text only.
[[nodiscard]] result<bool> parse_yes_no(std::string_view name, std::string_view value);
[[nodiscard]] result<long long> parse_number(std::string_view name, std::string_view value);
// unit is used when the value has none; one of s m h d w.
[[nodiscard]] result<std::chrono::seconds> parse_time(std::string_view name, std::string_view value, char unit = 's');

// Words separated by blanks and commas. A word in {…} (balanced) stays one word, braces kept.
[[nodiscard]] std::vector<std::string> split_list(std::string_view value);

// "name = value" or "name=value", as in -o of commands: both sides trimmed.
// Errors: `missing '=' after attribute name: "…"`, `missing attribute name: "…"`.
struct name_and_value {
    std::string_view name;
    std::string_view value;
};
[[nodiscard]] result<name_and_value> split_name_value(std::string_view text);

// "3.6" as one comparable number; errc::malformed for what is no level.
[[nodiscard]] result<long long> parse_level(std::string_view text);

} // namespace mta::config
