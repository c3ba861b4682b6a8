// master.cf as its author wrote it, for showing and changing it.
//
// master.hpp says what a line means to the daemon; this says how it is spelled: the eight columns, the options and the
// arguments as words, where in the file they stand, and how a line is printed. Words lose the braces around them, -o
// and its value become two words, "name = value" becomes "name=value": what is printed reads back as the same.
//
// No I/O. Safe on hostile text.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

// The names of the columns, as `postconf -F` spells them.
inline constexpr std::array<std::string_view, 8> service_columns{
    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"};

struct service_entry {
    std::vector<std::string> words; // eight columns, then options and arguments
    overrides settings;             // -o name=value, in order
    std::vector<std::string> troubles; // braces that do not pair, -o without a setting
    std::string file;               // its path
    int line = 0;                   // of the file, where it begins
    std::size_t begin = 0;          // the bytes of the file it takes
    std::size_t end = 0;

    [[nodiscard]] const std::string& name() const { return words[0]; }
    [[nodiscard]] const std::string& type() const { return words[1]; }
    [[nodiscard]] const std::string& program() const { return words[7]; }
};

// What stands inside the braces that open a word, without blanks around; an unclosed brace takes all of the rest as it is, and
// what follows the closing one is left out.
[[nodiscard]] std::string_view braced_text(std::string_view word) noexcept;

// `missing '}' in "…"` or `syntax error after '}' in "…"` for a word that begins with a brace; empty when it is good.
[[nodiscard]] std::string brace_trouble(std::string_view word);

// One line, without line ends. Errors: `bad field count: "…"`, `invalid type field "…" in "…"`.
[[nodiscard]] result<service_entry> read_service(std::string_view text);

// A whole file. Errors are `file PATH: line N: ` and what is wrong there.
[[nodiscard]] result<std::vector<service_entry>> read_services(std::string_view text, std::string_view path);

// Puts name=value among the -o options: in place of the one that counts, or behind the last option.
void set_parameter(service_entry& entry, const std::string& name, const std::string& value);

// Takes every -o name=… away; false when there was none.
bool remove_parameter(service_entry& entry, std::string_view name);

// Gives every -o setting the value that `change` makes of its value.
void replace_values(service_entry& entry, const std::function<std::string(std::string_view)>& change);

// Whether a column may have this value. Errors: `invalid chroot field "x" in "x"`, or that it must not be empty.
[[nodiscard]] result<void> check_column(std::size_t column, std::string_view value);

// Gives a column another value; the command column is the program with its options and arguments.
[[nodiscard]] result<void> set_column(service_entry& entry, std::size_t column, std::string_view value);

enum class service_layout {
    one_line,
    folded, // each -o on a line of its own, further arguments on lines of less than 80 columns
};

// The line as postconf -M prints it, without a line end.
[[nodiscard]] std::string format_service(const service_entry& entry, service_layout layout);

// The command column: the program, its options and its arguments.
[[nodiscard]] std::string format_command(const service_entry& entry);

} // namespace mta::config
