// The error, retry and discard transports: no delivery, a result at once.
//
// The nexthop of error and retry is the text, with an optional enhanced status code in front ("5.1.1 no such user").
// No I/O and no logging: the caller logs.
#pragma once

#include <mta/delivery/request.hpp>

namespace mta::delivery {

// program is that of the master.cf line: "error" or "discard". The service named "retry" defers, others bounce.
[[nodiscard]] response error_results(std::string_view program, const request& from);

} // namespace mta::delivery
