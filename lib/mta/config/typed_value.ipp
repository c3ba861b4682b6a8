// Bodies of typed_value.hpp.
#include <mta/config/typed_value.hpp>

#include <mta/config/values.hpp>

namespace mta::config {

result<void> convert(const parameter& row, typed_value& out) {
    switch (row.type) {
    case kind::yes_no: {
        const auto value = parse_yes_no(row.name, out.text);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = *value ? 1 : 0;
        return {};
    }
    case kind::integer: {
        const auto value = parse_number(row.name, out.text);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = *value;
        const std::string name(row.name);
        if (*value < row.low)
            return fail(errc::malformed, "invalid " + name + " parameter value " + out.text + " < " +
                                             std::to_string(row.low));
        if (*value > row.high)
            return fail(errc::malformed, "invalid " + name + " parameter value " + out.text + " > " +
                                             std::to_string(row.high));
        return {};
    }
    case kind::time: {
        const auto value = parse_time(row.name, out.text, row.unit);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = value->count();
        if (out.number < row.low)
            return fail(errc::malformed, "invalid " + std::string(row.name) + ": " + out.text + " (min " +
                                             std::to_string(row.low) + ")");
        return {};
    }
    case kind::list:
    case kind::text:
        if (row.type == kind::list)
            out.list = split_list(out.text);
        if (static_cast<long long>(out.text.size()) < row.low)
            return fail(errc::malformed, "bad string length " + std::to_string(out.text.size()) + " < " +
                                             std::to_string(row.low) + ": " + std::string(row.name) + " = " + out.text);
        return {};
    case kind::raw:
        return {};
    }
    return {};
}

} // namespace mta::config
