// The first half of a reload: all that could keep new workers from serving is found while the old ones serve.
//
// Reads the configuration, opens the log and what is listened on besides what is open, and starts a process for each
// role that does what a worker does before it serves: it opens tables, reads restrictions, drops privileges. Only when
// all have ended well is there a new configuration.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include <mta/core/log.hpp>

#include "configuration_at_hand.hpp"
#include "worker_set.hpp"

namespace mta::daemon {

class rehearsal {
public:
    // Errors: what is wrong with the files, and what only a stop and a start can change. Nothing has changed then.
    [[nodiscard]] static result<rehearsal> begin(worker_set& workers, const std::string& config_directory,
                                                 const configuration_at_hand& current);

    enum class outcome { unconcerned, goes_on, succeeded, failed };
    // To be told of each process that has ended.
    [[nodiscard]] outcome ended(pid_t pid, int status);

    // Ends what still runs, and closes what was opened.
    void abandon(worker_set& workers) noexcept;

    [[nodiscard]] std::chrono::steady_clock::time_point until() const noexcept { return until_; }
    // After success, once.
    [[nodiscard]] configuration_at_hand take_configuration() { return std::move(next_); }
    [[nodiscard]] logger take_log() { return std::move(log_); }

private:
    rehearsal(configuration_at_hand next, logger log);

    configuration_at_hand next_;
    logger log_;
    std::set<pid_t> running_;
    std::chrono::steady_clock::time_point until_;
};

} // namespace mta::daemon
