// Enhanced mail system status codes (RFC 3463): "5.7.1" and what may be asked of one.
//
// Values only: no I/O, no allocation except text(). Safe on hostile input.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace mta::smtp {

// class.subject.detail; class 2 is success, 4 a temporary and 5 a permanent failure.
struct status_code {
    int category = 0;
    int subject = 0;
    int detail = 0;

    [[nodiscard]] bool success() const noexcept { return category == 2; }
    [[nodiscard]] bool temporary() const noexcept { return category == 4; }
    [[nodiscard]] bool permanent() const noexcept { return category == 5; }
    [[nodiscard]] std::string text() const {
        return std::to_string(category) + '.' + std::to_string(subject) + '.' + std::to_string(detail);
    }
    friend bool operator==(const status_code&, const status_code&) = default;
};

// Length of the status code that text starts with, 0 when it starts with none. A code is one digit of
// 2, 4, 5, then two groups of one to three digits, and ends at a blank or the end of the text.
[[nodiscard]] inline std::size_t status_code_length(std::string_view text) noexcept {
    const auto digits = [&](std::size_t from) {
        std::size_t n = 0;
        while (from + n < text.size() && n < 4 && text[from + n] >= '0' && text[from + n] <= '9')
            ++n;
        return n;
    };
    if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.')
        return 0;
    const std::size_t subject = digits(2);
    if (subject == 0 || subject > 3 || 2 + subject >= text.size() || text[2 + subject] != '.')
        return 0;
    const std::size_t detail = digits(3 + subject);
    if (detail == 0 || detail > 3)
        return 0;
    const std::size_t end = 3 + subject + detail;
    if (end < text.size() && text[end] != ' ' && text[end] != '\t')
        return 0;
    return end;
}

// The status code that text starts with, or nullopt.
[[nodiscard]] inline std::optional<status_code> parse_status_code(std::string_view text) noexcept {
    const std::size_t end = status_code_length(text);
    if (end == 0)
        return std::nullopt;
    status_code code;
    const char* at = text.data();
    const char* const last = text.data() + end;
    at = std::from_chars(at, last, code.category).ptr + 1;
    at = std::from_chars(at, last, code.subject).ptr + 1;
    std::from_chars(at, last, code.detail);
    return code;
}

} // namespace mta::smtp
