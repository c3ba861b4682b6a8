// One worker process from its first instruction: told its endpoints, opens, drops privileges, serves.
#pragma once

#include <string>

namespace mta::daemon {

// The control socket is descriptor control_fd; the working directory is queue_directory. Returns the exit status.
// A rehearsal ends where a worker would begin to serve, with status 0, and logs only why it could not.
enum class worker_purpose { serve, rehearsal };
[[nodiscard]] int run_worker(const std::string& role, const std::string& config_directory, worker_purpose purpose);

} // namespace mta::daemon
