// Rules that no key can ever reach, because an earlier rule answers all that they would.
#pragma once

#include <string>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::table {

struct shadowed_rule {
    int line = 0;
    int by = 0; // line of the earlier rule
    std::string what;
};

// type is regexp or pcre (rules with the same pattern) or cidr (networks inside an earlier one); for others nothing is
// known. Rules that cannot be read are warned of (notices.hpp).
[[nodiscard]] result<std::vector<shadowed_rule>> find_shadowed(const std::string& type, const std::string& name);

// The part of it that knows networks.
[[nodiscard]] result<std::vector<shadowed_rule>> find_shadowed_networks(const std::string& name);

} // namespace mta::table
