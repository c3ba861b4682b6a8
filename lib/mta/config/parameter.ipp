// The rows of the parameter table and the search in them.
#include <mta/config/parameter.hpp>

#include <algorithm>

namespace mta::config {
namespace detail {

#include <mta/config/parameter_rows.inc>

// The row of a per-service name such as smtp_destination_recipient_limit; the longest suffix decides.
inline const parameter* find_family(std::string_view name) noexcept {
    const parameter* best = nullptr;
    for (const auto& row : family_rows)
        if (name.size() > row.name.size() && name.ends_with(row.name) &&
            (best == nullptr || row.name.size() > best->name.size()))
            best = &row;
    return best;
}

} // namespace detail

std::span<const parameter> parameters() noexcept {
    return detail::fixed_rows;
}

std::span<const parameter> parameter_families() noexcept {
    return detail::family_rows;
}

std::optional<std::uint16_t> find_parameter(std::string_view name) noexcept {
    const auto* const begin = std::begin(detail::fixed_rows);
    const auto* const end = std::end(detail::fixed_rows);
    const auto* const at =
        std::lower_bound(begin, end, name, [](const parameter& row, std::string_view want) { return row.name < want; });
    if (at == end || at->name != name)
        return std::nullopt;
    return static_cast<std::uint16_t>(at - begin);
}

} // namespace mta::config
