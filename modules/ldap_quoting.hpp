// How a key goes into an LDAP search as data: into the filter (RFC 4515 section 3) and into the base (RFC 4514 section 2.4).
//
// No I/O. Any bytes; what comes out has no byte that means something in that place but the backslash of a hex pair
// (fuzz_table_settings).
#pragma once

#include <string>
#include <string_view>

#include <mta/core/text.hpp>

namespace mta::table {

inline void append_hex_pair(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '\\';
    out += digits[static_cast<unsigned char>(c) / 16];
    out += digits[static_cast<unsigned char>(c) % 16];
}

inline void quote_filter(std::string& out, std::string_view bytes) {
    for (const char c : bytes) {
        if (c == '*' || c == '(' || c == ')' || c == '\\' || c == '\0')
            append_hex_pair(out, c);
        else
            out += c;
    }
}

// A hex pair stands for any byte, so that nothing needs to be known of where it stands.
inline void quote_name(std::string& out, std::string_view bytes) {
    for (const char c : bytes) {
        const bool plain = (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                           c == '-' || c == '_' || c == '@' || static_cast<unsigned char>(c) >= 0x80;
        if (plain)
            out += c;
        else
            append_hex_pair(out, c);
    }
}

} // namespace mta::table
