// The verbs of the postfix command: start, stop, reload and their kin, on a mail system of ours or of the reference.
//
// "Running" means that pid/master.pid below the queue directory is locked, not that it exists.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

namespace mta::postfix {

struct context {
    configuration cfg;
    config::command_log& log;
    bool as_root = true; // an ordinary user runs a mail system of his own, as himself
};

// The process ID of the running master, nullopt when none runs.
[[nodiscard]] std::optional<int> running_master(const configuration& cfg);

// Runs one verb; words behind it are its arguments. The result is the exit status of the command.
[[nodiscard]] int run(context& ctx, const std::string& verb, const std::vector<std::string>& words);

enum class repair { missing_only, all };

// Creates missing directories of the queue with owner and mode, and reports (or with repair::all corrects) wrong ones.
// False when something could not be made.
[[nodiscard]] bool check_directories(context& ctx, repair what);

} // namespace mta::postfix
