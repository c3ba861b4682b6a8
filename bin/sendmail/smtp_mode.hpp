// sendmail -bs: SMTP on standard input and output, as the user who called it.
//
// No access rules and no tables: whoever may submit may say what the message is. Each message goes through postdrop like
// any other submission, so that pickup sees it; nothing else of the queue is touched. Envelope ID and RET go along.
#pragma once

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

namespace mta::sendmail {

// Returns the exit status when the client has gone or has said QUIT.
int talk_smtp(const configuration& cfg, config::command_log& log);

} // namespace mta::sendmail
