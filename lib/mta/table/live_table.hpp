// A table of a long-running program: notices at most once a second that its file changed, and opens it again.
//
// A table that cannot be opened now answers "try again later" until it can: a missing file defers mail, it does not
// stop the mail system. A mistake in the name (unknown type, bad syntax) is still an error when it is opened. When a
// changed file can no longer be opened the old content serves on.
#pragma once

#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

[[nodiscard]] result<table_ptr> open_live_table(std::string_view spec, const open_options& options = {});

} // namespace mta::table
