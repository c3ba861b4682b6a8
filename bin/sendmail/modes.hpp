// What sendmail does for each of its modes: submit itself, or become the command that does the work.
#pragma once

#include <string_view>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

#include "options.hpp"

namespace mta::sendmail {

// Checks what may go together, then works. Returns the exit status.
[[nodiscard]] int run(const options& asked, const configuration& cfg, config::command_log& log);

// --help and --version: true when word was one of them and has been answered.
[[nodiscard]] bool long_option(std::string_view word);

} // namespace mta::sendmail
