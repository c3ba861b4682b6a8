// Takes one submission from standard input into maildrop/ (docs/queue-format.md, submission). Runs set-gid for any local
// user, so it trusts nothing: not the records, not the environment, not the signals it is sent.
#pragma once

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

namespace mta::postdrop {

// Returns the exit status: 0, or the status bits of the answer. 0 too when the caller took the message back.
[[nodiscard]] int run(const configuration& cfg, config::command_log& log);

} // namespace mta::postdrop
