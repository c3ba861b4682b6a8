// Bodies of common_settings.hpp.
#include <mta/config/common_settings.hpp>

#include <climits>

#include <mta/config/typed_value.hpp>

namespace mta::config {

result<void> check_common_settings(const configuration& cfg) {
    for (const auto& one : cfg.settings()) {
        const auto number = find_parameter(one.name);
        if (!number || parameters()[*number].users != "all" || parameters()[*number].type == kind::raw)
            continue;
        const auto& row = parameters()[*number];
        auto text = cfg.expand(one.value);
        if (!text)
            return fail(text.error().code, std::string(one.name) + ": " + text.error().detail);
        typed_value value;
        value.text = std::move(*text);
        auto done = convert(row, value);
        const bool is_number = row.type == kind::integer;
        const bool wide = one.name == "message_size_limit" || one.name == "lmdb_map_size";
        if (done && is_number && value.number > INT_MAX && !wide)
            return fail(errc::malformed, "bad numerical configuration: " + std::string(one.name) + " = " + value.text);
        // Postfix has no lower limit of 0: it takes what is less, and so do the commands. The daemon does not.
        if (!done && !(is_number && row.low == 0 && value.number < 0))
            return done;
    }
    return {};
}

} // namespace mta::config
