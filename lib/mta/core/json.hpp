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
    const auto plain = [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '"' && c != '\\';
    };
    out += '"';
    while (!text.empty()) {
        std::size_t run = 0;
        while (run < text.size() && plain(text[run]))
            ++run;
        out.append(text.substr(0, run));
        if (run == text.size())
            break;
        const char c = text[run];
        const auto byte = static_cast<unsigned char>(c);
        text.remove_prefix(run + 1);
        if (const auto at = named.find(c); at != std::string_view::npos)
            out.append(1, '\\').append(1, letters[at]);
        else
            out.append("\\u00").append(1, hex[byte >> 4U]).append(1, hex[byte & 15U]);
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
