// Defaults that compatibility_level keeps as they were in an earlier release.
//
// Postfix changes a default only for configurations that name the level from which it holds. Whoever still lives by an
// old one is told in the log each time that it decides something, with the setting that would keep it for good.
#pragma once

#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/config/values.hpp>

namespace mta::config {

// The level from which no default is an earlier release's.
inline constexpr std::string_view last_changed_level = "3.6";

// Whether compatibility_level is below level: "1", "2", "3.6".
[[nodiscard]] inline bool below_level(const configuration& cfg, std::string_view level) {
    const auto current = parse_level(cfg[param::compatibility_level]);
    const auto wanted = parse_level(level);
    return current && wanted && *current < *wanted;
}

// Whether main.cf leaves the parameter to a default that changes at that level, and is below it.
[[nodiscard]] inline bool has_legacy_default(const configuration& cfg, std::string_view name, std::string_view level) {
    return !cfg.is_set(name) && below_level(cfg, level);
}

// "using backwards-compatible default setting append_dot_mydomain=yes to rewrite …"
[[nodiscard]] inline std::string legacy_default_note(std::string_view setting, std::string_view purpose) {
    return "using backwards-compatible default setting " + std::string(setting) + " to " + std::string(purpose);
}

} // namespace mta::config
