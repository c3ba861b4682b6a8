// Bodies of values.hpp.
#include <mta/config/values.hpp>

#include <algorithm>
#include <limits>

#include <mta/core/text.hpp>

namespace mta::config {

namespace detail {
inline std::string not_numeric(std::string_view name, std::string_view value) {
    return "bad numerical configuration: " + std::string(name) + " = " + std::string(value);
}
inline std::string not_a_time(std::string_view name, std::string_view value) {
    return "parameter " + std::string(name) + ": bad time value or unit: " + std::string(value);
}
inline long long unit_seconds(char unit) noexcept {
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 7LL * 86400;
    default:
        return 0;
    }
}
} // namespace detail

result<bool> parse_yes_no(std::string_view name, std::string_view value) {
    if (iequals(value, "yes"))
        return true;
    if (iequals(value, "no"))
        return false;
    return fail(errc::malformed, "bad boolean configuration: " + std::string(name) + " = " + std::string(value));
}

result<long long> parse_number(std::string_view name, std::string_view value) {
    const auto number = parse_integer(value);
    if (!number)
        return fail(errc::malformed, detail::not_numeric(name, value));
    return *number;
}

result<std::chrono::seconds> parse_time(std::string_view name, std::string_view value, char unit) {
    const auto digits = std::min(value.find_first_not_of("0123456789"), value.size());
    const auto suffix = value.substr(digits);
    if (suffix.size() == 1)
        unit = suffix.front();
    const auto factor = detail::unit_seconds(unit);
    const auto number = parse_integer(value.substr(0, digits));
    if (digits == 0 || suffix.size() > 1 || factor == 0 || !number || *number > 2147483647LL / factor)
        return fail(errc::malformed, detail::not_a_time(name, value));
    return std::chrono::seconds(*number * factor);
}

std::vector<std::string> split_list(std::string_view value) {
    constexpr std::string_view separators = ", \t\r\n";
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = value.find_first_not_of(separators, at)) != std::string_view::npos;) {
        const auto start = at;
        int depth = 0;
        for (; at < value.size(); ++at) {
            if (value[at] == '{')
                ++depth;
            else if (value[at] == '}' && depth > 0)
                --depth;
            else if (depth == 0 && separators.find(value[at]) != std::string_view::npos)
                break;
        }
        out.emplace_back(value.substr(start, at - start));
    }
    return out;
}

result<name_and_value> split_name_value(std::string_view text) {
    const auto whole = text;
    text = trim(text);
    const auto end = std::min(text.find_first_of("= \t\r\n\v\f"), text.size());
    const auto equals = text.find_first_not_of(white_space, end);
    if (end == 0)
        return fail(errc::malformed, "missing attribute name: \"" + std::string(whole) + '"');
    if (equals == std::string_view::npos || text[equals] != '=')
        return fail(errc::malformed, "missing '=' after attribute name: \"" + std::string(whole) + '"');
    return name_and_value{text.substr(0, end), trim(text.substr(equals + 1))};
}

result<long long> parse_level(std::string_view text) {
    // Ten bits for each of the lower parts, as the reference; blanks and a sign may stand before a number, as for strtol().
    constexpr int part_bits = 10;
    constexpr long long part_limit = (1LL << part_bits) - 1;
    constexpr long long first_limit = std::numeric_limits<long long>::max() >> (2 * part_bits);
    const auto bad = [&] {
        return fail(errc::malformed, "malformed compatibility level syntax: \"" + std::string(text) + '"');
    };
    long long out = 0;
    auto rest = text;
    bool ended = false;
    for (int part = 0; part < 3; ++part) {
        long long number = 0;
        if (!ended) {
            rest.remove_prefix(std::min(rest.find_first_not_of(white_space), rest.size()));
            const bool negative = rest.starts_with('-');
            if (negative || rest.starts_with('+'))
                rest.remove_prefix(1);
            const auto digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
            const auto value = parse_integer(rest.substr(0, digits));
            if (digits == 0 || !value || *value > (part == 0 ? first_limit : part_limit) || (negative && *value != 0))
                return bad();
            number = *value;
            rest.remove_prefix(digits);
            ended = rest.empty();
            if (!ended && (part == 2 || rest.front() != '.'))
                return bad();
            rest.remove_prefix(ended ? 0 : 1);
        }
        out = (out << part_bits) + number;
    }
    return out;
}

} // namespace mta::config
