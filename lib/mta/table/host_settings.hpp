// Reads the parameters of a table (client_settings) where the host has them: a file, or main.cf.
#pragma once

#include <string>

#include <mta/core/result.hpp>
#include <mta/table/client_settings.hpp>

namespace mta::table {

// name is what follows "type:". A name without a slash or dot in front reads main.cf's NAME_parameter (environment.hpp).
// Errors: the file cannot be opened, or breaks main.cf's syntax.
[[nodiscard]] result<client_settings> read_settings(const std::string& name);

} // namespace mta::table
