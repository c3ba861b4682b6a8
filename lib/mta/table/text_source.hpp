// The source syntax of tables: logical lines of "key value", with comments, continuation and quoted keys.
//
// A line that begins with white space continues the one before; empty lines and lines whose first non-blank byte is
// "#" are skipped. No I/O: works on the text of a file, and says what it skips (notices.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::table {

struct logical_line {
    std::string_view text;  // up to its first NUL
    std::string_view whole; // what is behind the NUL too
    int line = 0;           // physical number of its first line, from 1
};

class line_reader {
public:
    // text must outlive the reader. title names the source when a line that begins with white space has nothing to
    // continue; such a line is skipped.
    line_reader(std::string_view text, std::string title, int first_line = 1)
        : rest_(text), title_(std::move(title)), number_(first_line - 1) {}

    // The text is in the source or in the reader, and stays until the next call.
    [[nodiscard]] std::optional<logical_line> next();

    // How many bytes were read.
    [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

private:
    [[nodiscard]] std::string_view take();
    void join_more();

    std::string_view rest_;
    std::string title_;
    std::string joined_;
    int number_;
};

struct key_value {
    std::string_view key; // with its quotes, if it has any
    std::string_view value;
};

inline constexpr const char* ignored_line = " -- ignoring this line";
inline constexpr const char* looks_like_alias =
    "record is in \"key: value\" format; is this an alias file?";

// Splits "key value" at the first blank that no quotes protect; the value is trimmed. The error is the text of a
// warning.
[[nodiscard]] result<key_value> read_entry(std::string_view text);

[[nodiscard]] bool is_ascii(std::string_view text) noexcept;
// Whether the line is UTF-8. Behind a NUL anything may stand when all before it is ASCII, as the reference has it.
[[nodiscard]] bool is_utf8_line(const logical_line& line) noexcept;

} // namespace mta::table
