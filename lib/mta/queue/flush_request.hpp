// What the flush service is asked (queue_flush_protocol, docs/queue-format.md), seen from those who ask.
//
// The service greets, reads one request and answers one status.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::queue {

enum class flush_status : int { done = 0, failed = -1, bad_request = 3, not_eligible = 4 };

// The request for a deferred message, or for all logged mail of a site (in lower case, as logs are named).
[[nodiscard]] std::string flush_file_request(std::string_view id);
[[nodiscard]] std::string flush_site_request(std::string_view site);

// Sends the request to the service's socket and waits for its answer; limit bounds each wait. Blocks.
//
// Errors: the system's, with an empty detail, when nobody could be asked; mta::errc::malformed when what answers is another
// service; closed or timeout when no answer came. An unknown status counts as failed.
[[nodiscard]] result<flush_status> ask_flush_service(const std::string& socket, std::string_view request,
                                                     std::chrono::milliseconds limit);

} // namespace mta::queue
