// The "{ … }" syntax of table names: lists of words in which a word in braces may hold blanks and commas.
//
// Works on text only; every piece points into the caller's bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/core/text.hpp>

namespace mta::table {

inline constexpr std::string_view list_separators = " \t\r\n,";

// Where the brace that text begins with is closed; npos when it never is.
[[nodiscard]] constexpr std::size_t closing_brace(std::string_view text) noexcept {
    std::size_t depth = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '{')
            ++depth;
        else if (text[at] == '}' && --depth == 0)
            return at;
    }
    return std::string_view::npos;
}

// Takes the next word off rest; blanks and commas inside braces do not end it. nullopt at the end.
[[nodiscard]] inline std::optional<std::string_view> next_word(std::string_view& rest) noexcept {
    const auto first = rest.find_first_not_of(list_separators);
    if (first == std::string_view::npos) {
        rest = {};
        return std::nullopt;
    }
    rest.remove_prefix(first);
    std::size_t end = 0;
    for (std::size_t depth = 0; end < rest.size(); ++end) {
        if (rest[end] == '{')
            ++depth;
        else if (rest[end] == '}')
            depth -= depth > 0 ? 1 : 0;
        else if (depth == 0 && list_separators.find(rest[end]) != std::string_view::npos)
            break;
    }
    const auto word = rest.substr(0, end);
    rest.remove_prefix(end);
    return word;
}

// What stands between the braces that must enclose all of text, trimmed.
[[nodiscard]] inline result<std::string_view> inside_braces(std::string_view text) {
    const std::string shown(text);
    if (!text.starts_with('{'))
        return fail(errc::malformed, "no '{' at start of text in \"" + shown + "\"");
    const auto end = closing_brace(text);
    if (end == std::string_view::npos)
        return fail(errc::malformed, "missing '}' in \"" + shown + "\"");
    if (!trim(text.substr(end + 1)).empty())
        return fail(errc::malformed, "syntax error after '}' in \"" + shown + "\"");
    return trim(text.substr(1, end - 1));
}

} // namespace mta::table
