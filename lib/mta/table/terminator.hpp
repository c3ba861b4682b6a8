// The NUL that some programs store behind keys and values of a database.
//
// A reader tries both ways and keeps to what worked first; a writer is told, or does what its type is used to.
#pragma once

#include <string_view>

namespace mta::table {

enum class terminator { unknown, with, without };

[[nodiscard]] constexpr std::string_view without_nul(std::string_view bytes) noexcept {
    if (bytes.ends_with('\0'))
        bytes.remove_suffix(1);
    return bytes;
}

// Looks key up with get() in the ways that style allows, and remembers in style what worked. key must be followed by a
// NUL in memory. get answers result<std::optional<…>>.
template <class Get>
auto look_up_both(terminator& style, std::string_view key, Get&& get) {
    if (style != terminator::without) {
        auto found = get(std::string_view(key.data(), key.size() + 1));
        if (!found || *found || style == terminator::with) {
            if (found && *found)
                style = terminator::with;
            return found;
        }
    }
    auto found = get(key);
    if (found && *found)
        style = terminator::without;
    return found;
}

} // namespace mta::table
