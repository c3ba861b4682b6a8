// One worker process from its first instruction: told its endpoints, opens, drops privileges, serves.
#pragma once

#include <string>

namespace mta::daemon {

// The control socket is descriptor control_fd; the working directory is queue_directory. Returns the exit status.
[[nodiscard]] int run_worker(const std::string& role, const std::string& config_directory);

} // namespace mta::daemon
