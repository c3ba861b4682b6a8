// public/flush: deliver one deferred message, or all mail for a site, now (queue_flush_protocol).
#pragma once

#include <functional>
#include <string_view>

#include "worker.hpp"

namespace mta::daemon {

// trigger is told like public/qmgr when files became due.
void serve_flush(worker& owner, endpoint& where, std::function<void(std::string_view)> trigger);

} // namespace mta::daemon
