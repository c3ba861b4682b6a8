// Which literal text a regular expression cannot match without.
//
// Answers factors: whatever text matches the pattern contains, in lower case, at least one word of every factor. An
// empty answer means "cannot tell". Conservative by design: syntax that it does not know makes it answer nothing,
// never something wrong. No I/O; safe on hostile input (fuzz_table_sources).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/table/rule_source.hpp>

namespace mta::table {

using literal_factor = std::vector<std::string>;

// flags as in the source: what "x" means depends on the dialect.
[[nodiscard]] std::vector<literal_factor> required_literals(pattern_dialect dialect, const pattern& from);

} // namespace mta::table
