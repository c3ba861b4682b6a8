// What every command looks at before it begins.
#pragma once

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

// Whether the parameters that nearly every program uses have values that they can have, as far as main.cf sets them: the
// commands refuse to run otherwise, whether they need that parameter or not, as Postfix's do. The error is the first one,
// without its place.
[[nodiscard]] result<void> check_common_settings(const configuration& cfg);

} // namespace mta::config
