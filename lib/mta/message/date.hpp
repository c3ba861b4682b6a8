// Dates of messages (RFC 5322 3.3) in local time with the zone: "Sat, 21 Nov 2026 05:37:41 +0000 (UTC)".
//
// Reads the zone of the process (TZ). Thread-safe.
#pragma once

#include <ctime>
#include <string>

namespace mta::message {

[[nodiscard]] std::string format_date(std::time_t when);

} // namespace mta::message
