// Parameters that an administrator set, and that no part of this program acts on.
#pragma once

#include <string>
#include <vector>

#include <mta/config/configuration.hpp>

namespace mta::config {

// Names of known parameters that the files set to something else than the default and that nobody acts on yet (the
// table's third column), sorted. What only says where an installation put its files is not among them.
[[nodiscard]] std::vector<std::string> ignored_parameters(const configuration& cfg);

} // namespace mta::config
