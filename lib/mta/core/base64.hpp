// Base64 of RFC 4648 section 4, with padding and without line ends. No I/O.
#pragma once

#include <string>
#include <string_view>

namespace mta {

[[nodiscard]] inline std::string base64_encode(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto byte = [&](std::size_t i) {
            return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U;
        };
        const unsigned group = byte(0) << 16U | byte(1) << 8U | byte(2);
        out += digits[group >> 18U];
        out += digits[group >> 12U & 63U];
        out += at + 1 < bytes.size() ? digits[group >> 6U & 63U] : '=';
        out += at + 2 < bytes.size() ? digits[group & 63U] : '=';
    }
    return out;
}

} // namespace mta
