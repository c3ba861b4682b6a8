// The supervisor: what Postfix calls master.
//
// Reads main.cf and master.cf, takes the master lock (the lock files of the reference, so that the two can never
// run on one spool), opens every listener while privileged, starts the workers and keeps them running, and takes
// HUP (reload) and TERM (stop). It touches no mail and parses none.
//
// Single-threaded, without an event library: it is the one process that stays root.
#pragma once

#include <string>

namespace mta::daemon {

struct start_options {
    std::string config_directory;
    bool foreground = false; // log readiness and stay; otherwise answer on ready_fd
    int ready_fd = -1;       // one byte is written when the lock is held and the listeners are open
    int verbose = 0;
};

// Runs until told to stop. The exit status: 0 after a stop, 1 when it could not start (the reason is logged, and
// printed on standard error).
[[nodiscard]] int run_supervisor(const start_options& options);

// Whether a master holds the lock of this queue directory: 0 when it is free, 1 when it is held (the status of
// the reference's `master -t` is the other way round for scripts: see main).
[[nodiscard]] bool master_is_running(const std::string& queue_directory);

} // namespace mta::daemon
