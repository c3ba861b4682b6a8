// Bodies of encoded_word.hpp.
#include <mta/message/encoded_word.hpp>

#include <algorithm>

#include <mta/core/base64.hpp>

namespace mta::message {
namespace detail {

// RFC 2047 2.
inline constexpr std::size_t longest_encoded_word = 75;

// RFC 2047 5 (3): what a word in a phrase may hold as it is.
inline bool stands_for_itself(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!*+-/").find(c) != std::string_view::npos;
}

inline std::string q_text(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : bytes) {
        if (stands_for_itself(c)) {
            out += c;
        } else if (c == ' ') {
            out += '_';
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '=';
            out += digits[byte >> 4U];
            out += digits[byte & 15U];
        }
    }
    return out;
}

// The bytes of the first character: one, or a whole UTF-8 sequence.
inline std::size_t character_bytes(std::string_view text) noexcept {
    const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
    const auto end = std::find_if_not(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(text.size(), 4)),
                                      goes_on);
    return static_cast<std::size_t>(end - text.begin());
}

inline std::string words_in(std::string_view text, std::string_view charset, char encoding) {
    const auto encode = [&](std::string_view part) { return encoding == 'Q' ? q_text(part) : to_base64(part); };
    const std::string head = "=?" + std::string(charset) + '?' + encoding + '?';
    const std::size_t room = longest_encoded_word - std::min(head.size() + 2, longest_encoded_word - 12);
    std::string out;
    while (!text.empty()) {
        std::size_t taken = character_bytes(text);
        for (std::size_t next = taken; next < text.size();) {
            next += character_bytes(text.substr(next));
            if (encode(text.substr(0, next)).size() > room)
                break;
            taken = next;
        }
        out += (out.empty() ? "" : "\n ") + head + encode(text.substr(0, taken)) + "?=";
        text.remove_prefix(taken);
    }
    return out;
}

} // namespace detail

std::string encoded_words(std::string_view text, std::string_view charset) {
    auto quoted = detail::words_in(text, charset, 'Q');
    auto base64 = detail::words_in(text, charset, 'B');
    return base64.size() < quoted.size() ? base64 : quoted;
}

} // namespace mta::message
