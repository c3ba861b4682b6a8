// Writing JSON: strings, with the escapes that RFC 8259 asks for. The rest is punctuation that callers write
// themselves.
//
// Text must be UTF-8 (mta::printable makes it so); what is above U+007F is not escaped.
#pragma once

#include <string>
#include <string_view>

namespace mta {

// Appends text as a quoted string.
inline void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    constexpr std::string_view named = "\"\\\b\f\n\r\t";
    constexpr std::string_view letters = "\"\\bfnrt";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (const auto at = named.find(c); at != std::string_view::npos)
            out.append(1, '\\').append(1, letters[at]);
        else if (byte < 0x20 || byte == 0x7F)
            out.append("\\u00").append(1, hex[byte >> 4U]).append(1, hex[byte & 15U]);
        else
            out += c;
    }
    out += '"';
}

// Appends ", " unless out ends in an opening bracket, then "name": .
inline void append_json_name(std::string& out, std::string_view name) {
    if (!out.empty() && out.back() != '{')
        out += ", ";
    append_json_string(out, name);
    out += ": ";
}

} // namespace mta
