// Small text helpers for configuration words, addresses and log lines.
//
// All of them work on bytes and ASCII letters only, whatever the locale says. No I/O.
#pragma once

#include <atomic>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta {

inline constexpr std::string_view white_space = " \t\r\n\v\f";

[[nodiscard]] constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] inline std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = to_lower(c);
    return out;
}

[[nodiscard]] inline bool iequals(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (to_lower(a[i]) != to_lower(b[i]))
            return false;
    return true;
}

[[nodiscard]] inline std::string_view trim(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(white_space);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

// The pieces between any of the separator characters; empty pieces are dropped. The pieces point into text.
[[nodiscard]] inline std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; (at = text.find_first_not_of(separators, at)) != std::string_view::npos;) {
        const auto end = std::min(text.find_first_of(separators, at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end;
    }
    return out;
}

// The pieces of a temporary would dangle.
template <std::same_as<std::string> Text>
std::vector<std::string_view> split(Text&&, std::string_view) = delete;

// The same with copies of the pieces: for text that does not last.
[[nodiscard]] inline std::vector<std::string> split_copy(std::string_view text, std::string_view separators) {
    std::vector<std::string> out;
    for (const auto piece : split(text, separators))
        out.emplace_back(piece);
    return out;
}

template <class Range>
[[nodiscard]] std::string join(const Range& pieces, std::string_view separator) {
    std::string out;
    bool first = true;
    for (const auto& piece : pieces) {
        if (!std::exchange(first, false))
            out += separator;
        out += piece;
    }
    return out;
}

// A whole decimal number with an optional sign; anything else is errc::malformed, out of range errc::too_large.
[[nodiscard]] inline result<long long> parse_integer(std::string_view text) {
    long long value = 0;
    if (text.size() > 1 && text.front() == '+' && text[1] >= '0' && text[1] <= '9')
        text.remove_prefix(1);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code == std::errc::result_out_of_range)
        return fail(errc::too_large, "number out of range: " + std::string(text));
    if (code != std::errc{} || end != text.data() + text.size() || text.empty())
        return fail(errc::malformed, "bad number: " + std::string(text));
    return value;
}

[[nodiscard]] inline bool is_ascii(std::string_view text) noexcept {
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80)
            return false;
    return true;
}

// The length of the valid UTF-8 sequence at the start of text; 0 when there is none (RFC 3629).
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
    if (text.empty())
        return 0;
    const unsigned lead = byte(0);
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return tail(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!tail(1) || !tail(2) || (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F))
            return 0;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!tail(1) || !tail(2) || !tail(3) || (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F))
            return 0;
        return 4;
    }
    return 0;
}

[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

// Whether printable() leaves text beyond ASCII as it is (smtputf8_enable). Of the whole process: set at its start.
inline std::atomic<bool> utf8_is_printable = true;

// text with control bytes and invalid UTF-8 replaced, so that one event stays one harmless log line.
[[nodiscard]] inline std::string printable(std::string_view text, char mask = '?') {
    std::string out;
    out.reserve(text.size());
    const bool utf8 = utf8_is_printable.load(std::memory_order_relaxed);
    while (!text.empty()) {
        const auto length = utf8 || (text.front() & 0x80) == 0 ? utf8_length(text) : 0;
        const auto c = static_cast<unsigned char>(text.front());
        // U+0080 to U+009F are control characters too.
        const bool c1 = length == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
        if (length == 0 || (length == 1 && (c < 0x20 || c == 0x7F)) || c1)
            out += mask;
        else
            out += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

} // namespace mta
