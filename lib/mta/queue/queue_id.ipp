#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <mta/queue/queue_id.hpp>

namespace mta::queue {

namespace detail {

// Digits, then consonants of both cases: an ID never spells a word. The separator "z" is the last digit of base 52
// and is no digit of base 51.
inline constexpr std::string_view id_digits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
inline constexpr std::string_view hex_digits = "0123456789ABCDEF";
inline constexpr std::size_t long_microseconds_at = 6; // seconds take at least six characters
inline constexpr std::size_t long_microseconds_width = 4;

inline void append_number(std::string& out, std::uint64_t value, unsigned base, std::size_t width,
                          std::string_view digits) {
    std::array<char, 64> text{};
    std::size_t at = text.size();
    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value != 0);
    while (text.size() - at < width)
        text[--at] = '0';
    out.append(text.data() + at, text.size() - at);
}

inline std::optional<std::uint64_t> read_number(std::string_view text, unsigned base,
                                                std::string_view digits) noexcept {
    std::uint64_t value = 0;
    if (text.empty())
        return std::nullopt;
    for (const char c : text) {
        const auto digit = digits.substr(0, base).find(c);
        if (digit == std::string_view::npos || value > (UINT64_MAX - digit) / base)
            return std::nullopt;
        value = value * base + digit;
    }
    return value;
}

} // namespace detail

std::string make_queue_id(timeval when, ino_t inode, id_form form) {
    std::string id;
    id.reserve(24);
    const auto microseconds = static_cast<std::uint64_t>(when.tv_usec);
    if (form == id_form::short_id) {
        detail::append_number(id, microseconds, 16, 5, detail::hex_digits);
        detail::append_number(id, inode, 16, 1, detail::hex_digits);
        return id;
    }
    detail::append_number(id, static_cast<std::uint64_t>(when.tv_sec), 52, detail::long_microseconds_at,
                          detail::id_digits);
    detail::append_number(id, microseconds, 52, detail::long_microseconds_width, detail::id_digits);
    id += 'z';
    detail::append_number(id, inode, 51, 1, detail::id_digits);
    return id;
}

bool is_valid_queue_id(std::string_view name) noexcept {
    if (name.empty() || name.size() > 255)
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    });
}

std::optional<queue_id_parts> parse_queue_id(std::string_view name) noexcept {
    using namespace detail;
    queue_id_parts parts;
    const auto separator = name.rfind('z');
    if (separator != std::string_view::npos && separator >= long_microseconds_at + long_microseconds_width) {
        const auto microseconds_at = separator - long_microseconds_width;
        const auto seconds = read_number(name.substr(0, microseconds_at), 52, id_digits);
        const auto microseconds = read_number(name.substr(microseconds_at, long_microseconds_width), 52, id_digits);
        const auto inode = read_number(name.substr(separator + 1), 51, id_digits);
        if (!seconds || *seconds > INT64_MAX || !microseconds || *microseconds >= 1000000 || !inode)
            return std::nullopt;
        parts.form = id_form::long_id;
        parts.inode = *inode;
        parts.microseconds = static_cast<long>(*microseconds);
        parts.seconds = static_cast<long long>(*seconds);
        return parts;
    }
    if (name.size() < 6)
        return std::nullopt;
    const auto microseconds = read_number(name.substr(0, 5), 16, hex_digits);
    const auto inode = read_number(name.substr(5), 16, hex_digits);
    if (!microseconds || *microseconds >= 1000000 || !inode)
        return std::nullopt;
    parts.form = id_form::short_id;
    parts.inode = *inode;
    parts.microseconds = static_cast<long>(*microseconds);
    return parts;
}

std::string hash_directories(std::string_view name, int depth) {
    std::string out;
    if (depth <= 0)
        return out;
    std::string hex;
    if (const auto parts = parse_queue_id(name); parts && parts->form == id_form::long_id) {
        // Long names begin with slow digits: the microseconds spread better, written as a short name would.
        detail::append_number(hex, static_cast<std::uint64_t>(parts->microseconds), 16, 5, detail::hex_digits);
        name = hex;
    }
    for (std::size_t level = 0; level < static_cast<std::size_t>(depth); ++level) {
        out += level < name.size() ? name[level] : '_';
        out += '/';
    }
    return out;
}

} // namespace mta::queue
