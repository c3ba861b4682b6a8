// The logs of deferred mail by site, in flush/: what ETRN and sendmail -qR ask for is found without a look at every
// deferred file.
//
// A file a site, one queue ID a line; lines may repeat, and name messages that have gone. Every change is made under an
// exclusive lock. A log is a hint and never flushed to disk: what it lacks is delivered at its usual time.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

// "relay_test" for "Relay.Test".
[[nodiscard]] std::string flush_log_name(std::string_view site);

// Waits for the lock. errc::bad_id when either cannot be a file name.
[[nodiscard]] result<void> append_flush_log(const spool& where, std::string_view site, std::string_view id);

// Calls visit for each message (seldom twice), then empties the log; others wait for the lock meanwhile. What is no queue
// ID is skipped. False: there is no log.
[[nodiscard]] result<bool> drain_flush_log(const spool& where, std::string_view site,
                                           const std::function<void(const std::string& id)>& visit);

struct flush_log_ages {
    long long refresh = 0; // seconds after which a log that nobody has read is drained
    long long purge = 0;   // seconds after which an empty log is removed
};

// Treats every log. Errors: flush/ cannot be read.
[[nodiscard]] result<void> refresh_flush_logs(const spool& where, const flush_log_ages& ages,
                                              const std::function<void(const std::string& id)>& visit);

} // namespace mta::queue
