// Hands a message to postdrop: envelope, text, and with -t the recipients found in its header.
#pragma once

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

#include "options.hpp"

namespace mta::sendmail {

// The path of one of our commands: command_directory, else its place in the build tree we run from.
[[nodiscard]] std::string find_command(const configuration& cfg, const std::string& name);

// Ends the process unless authorized_submit_users lets the caller in. postdrop asks again: this is for a plain answer.
void check_submit_user(const configuration& cfg, config::command_log& log);

// Reads standard input (not for a probe) and submits. Returns the exit status; ends the process on trouble.
[[nodiscard]] int submit(const options& asked, const configuration& cfg, config::command_log& log);

} // namespace mta::sendmail
