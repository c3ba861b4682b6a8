// public/cleanup: other programs of the mail system put a message into the queue (cleanup_protocol,
// docs/queue-format.md): forwards of local delivery, and foreign programs.
#pragma once

#include <functional>
#include <string>

#include "worker.hpp"

namespace mta::daemon {

// arrived is called on the loop with the queue ID of each message that is safe in incoming/.
[[nodiscard]] result<void> serve_cleanup(worker& owner, endpoint& where,
                                         std::function<void(const std::string&)> arrived);

} // namespace mta::daemon
