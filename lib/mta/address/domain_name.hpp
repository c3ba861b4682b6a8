// Whether text may stand behind the "@" of an address.
//
// No I/O. Safe on hostile input.
#pragma once

#include <string_view>

namespace mta::address {

// Letters, digits, '-', '_', labels up to 63 bytes, one final dot allowed, not all digits. ASCII only.
[[nodiscard]] bool valid_hostname(std::string_view text) noexcept;

// A host name, or an address literal in brackets: "[192.0.2.1]", "[IPv6:2001:db8::1]".
[[nodiscard]] bool valid_domain(std::string_view text) noexcept;

// What ETRN and "postqueue -s" may name: the same, without a final dot.
[[nodiscard]] inline bool valid_site(std::string_view text) noexcept {
    return valid_domain(text) && !text.ends_with('.');
}

} // namespace mta::address
