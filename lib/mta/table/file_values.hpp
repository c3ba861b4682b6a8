// Values that are lists of files (postmap -F): a table holds, as base64, what the files hold.
#pragma once

#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>

namespace mta::table {

// The content of the files in list, which blanks or commas part, joined by newlines.
[[nodiscard]] result<std::string> joined_files(std::string_view list);
// The same as base64.
[[nodiscard]] result<std::string> encoded_files(std::string_view list);

// A table whose values are base64 of what inner answers. A value that is none is reported and is an error.
[[nodiscard]] table_ptr decoding_table(table_ptr inner);

} // namespace mta::table
