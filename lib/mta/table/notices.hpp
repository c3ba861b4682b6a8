// Where tables report what no caller asked about: a bad rule that is skipped, a duplicate key.
//
// What decides the outcome of a lookup is never said here: it is in the result.
#pragma once

#include <string_view>

#include <mta/table/environment.hpp>

namespace mta::table {

inline void notice(severity level, std::string_view text) { current_log().log(level, text); }
inline void warning(std::string_view text) { notice(severity::warning, text); }

} // namespace mta::table
