// The $name and ${name?text} of forward_path and luser_relay, for one account. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mta::delivery {

struct forward_names {
    std::string user, home, shell, recipient, extension, domain, local, delimiter;
};

// The paths of a list, names replaced; entries with a plain $name that has no value are left out.
[[nodiscard]] std::vector<std::string> expand_paths(std::string_view list, const forward_names& names);

// nullopt for text that cannot be read.
[[nodiscard]] std::optional<std::string> expand_names(std::string_view text, const forward_names& names);

} // namespace mta::delivery
