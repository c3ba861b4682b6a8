// Whether text can go to a terminal as it is: printable ASCII, nothing else.
//
// Eight bytes at a time: a listing asks this of every address and every reason.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mta {

[[nodiscard]] inline bool is_plain(std::string_view text) noexcept {
    constexpr std::uint64_t each = 0x0101010101010101U;
    constexpr std::uint64_t high = 0x80U * each;
    const char* at = text.data();
    std::size_t left = text.size();
    // A byte below a blank borrows its high bit, DEL carries into it; neighbours are touched only when one does.
    for (; left >= sizeof(std::uint64_t); at += sizeof(std::uint64_t), left -= sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        if (((word | (word - ' ' * each) | (word + each)) & high) != 0)
            return false;
    }
    for (; left > 0; ++at, --left)
        if (*at < ' ' || *at >= '\x7f')
            return false;
    return true;
}

} // namespace mta
