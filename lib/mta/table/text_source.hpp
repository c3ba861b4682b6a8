// The source syntax of tables: logical lines of "key value", with comments, continuation and quoted keys.
//
// A line that begins with white space continues the one before; empty lines and lines whose first non-blank byte is
// "#" are skipped. No I/O: works on the text of a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mta::table {

struct logical_line {
    std::string text;
    int line = 0; // physical number of its first line, from 1
};

class line_reader {
public:
    explicit line_reader(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] std::optional<logical_line> next() {
        std::optional<logical_line> out;
        while (!rest_.empty()) {
            const auto line = peek();
            const auto first = line.find_first_not_of(" \t\r\v\f");
            const bool skipped = first == std::string_view::npos || line[first] == '#';
            if (!skipped && first == 0 && out)
                return out;
            ++number_;
            if (!skipped && (first == 0 || out)) {
                if (!out)
                    out = logical_line{{}, number_};
                out->text += line;
            } else if (!skipped) {
                // White space before anything it could continue.
                out = logical_line{std::string(line), number_};
            }
            rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
        }
        return out;
    }

private:
    [[nodiscard]] std::string_view peek() const noexcept { return rest_.substr(0, rest_.find('\n')); }

    std::string_view rest_;
    int number_ = 0;
};

struct key_value {
    std::string_view key; // with its quotes, if it has any
    std::string_view value;
};

// Splits "key value" at the first blank that no quotes protect; the value is trimmed and may be empty.
[[nodiscard]] inline key_value split_entry(std::string_view text) noexcept {
    std::size_t end = 0;
    bool quoted = false;
    for (; end < text.size(); ++end) {
        const char c = text[end];
        if (c == '\\' && quoted && end + 1 < text.size())
            ++end;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'))
            break;
    }
    auto value = text.substr(std::min(end, text.size()));
    const auto first = value.find_first_not_of(" \t\r\n\v\f");
    if (first == std::string_view::npos)
        return {text.substr(0, end), {}};
    return {text.substr(0, end), value.substr(first, value.find_last_not_of(" \t\r\n\v\f") - first + 1)};
}

} // namespace mta::table
