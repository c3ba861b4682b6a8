#include <algorithm>
#include <cstdint>
#include <cstring>

#include <mta/core/text.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

constexpr bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Nothing but white space, or a comment.
bool is_skipped(std::string_view line) noexcept {
    const auto first = line.find_first_not_of(white_space);
    return first == std::string_view::npos || line[first] == '#';
}

std::string_view before_nul(std::string_view text) noexcept { return text.substr(0, text.find('\0')); }

} // namespace

std::string_view line_reader::take() {
    const auto line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
    ++number_;
    return line;
}

std::optional<logical_line> line_reader::next() {
    while (!rest_.empty()) {
        const auto line = take();
        if (line.empty() || line.front() == '#' || (is_blank(line.front()) && is_skipped(line)))
            continue;
        const int first = number_;
        std::string_view whole = line;
        // Only these can stand before or in a continuation.
        if (!rest_.empty() && (is_blank(rest_.front()) || rest_.front() == '#')) {
            joined_.assign(line);
            join_more();
            whole = joined_;
        }
        const auto text = before_nul(whole);
        if (!is_blank(line.front()))
            return logical_line{text, whole, first};
        warning(title_ + ": logical line must not start with whitespace: \"" + std::string(text.substr(0, 30)) +
                (whole.size() > 30 ? "...\"" : "\""));
    }
    return std::nullopt;
}

void line_reader::join_more() {
    while (!rest_.empty() && (is_blank(rest_.front()) || rest_.front() == '#'))
        if (const auto line = take(); !is_skipped(line))
            joined_ += line;
}

bool is_ascii(std::string_view text) noexcept {
    std::size_t at = 0;
    for (std::uint64_t word = 0; at + sizeof word <= text.size(); at += sizeof word) {
        std::memcpy(&word, text.data() + at, sizeof word);
        if ((word & 0x8080808080808080U) != 0)
            return false;
    }
    return std::ranges::none_of(text.substr(at), [](char c) { return (c & '\x80') != 0; });
}

bool is_utf8_line(const logical_line& line) noexcept { return (!line.text.empty() && is_ascii(line.text)) || is_utf8(line.whole); }

result<key_value> read_entry(std::string_view text) {
    std::size_t end = 0;
    bool quoted = false;
    for (; end < text.size(); ++end) {
        const char c = text[end];
        if (c == '\\' && end + 1 < text.size())
            ++end;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && is_blank(c))
            break;
    }
    if (quoted)
        return fail(errc::malformed, "unbalanced '\"' in '" + std::string(text) + "'" + ignored_line);
    end = std::min(end, text.size());
    const key_value out{text.substr(0, end), trim(text.substr(end))};
    if (out.key.empty() || out.value.empty())
        return fail(errc::malformed, "expected format: key whitespace value");
    return out;
}

} // namespace mta::table
