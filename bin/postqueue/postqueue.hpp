// postqueue: lists the queue and asks for delivery attempts.
//
// Installed set-gid: it may open the sockets in public/ for any local user, and decides itself who may ask. With the
// mail system down, root reads the queue directories directly.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include <mta/queue/selection.hpp>

namespace mta::postqueue {

enum class action { none, list, list_json, flush, flush_id, flush_site };

struct options {
    postqueue::action action = action::none;
    std::string argument;                        // of flush_id and flush_site
    std::optional<std::string> config_directory; // -c
    queue::selection selection;                  // of list, list_json and flush; empty: all
    bool count = false;                          // list: the number of messages only
    bool dry_run = false;                        // flush: the queue IDs only
    int verbose = 0;
};

inline constexpr int fatal_status = 69;

// Returns the exit status. Messages go to standard error and the mail log.
int run(const options& opt, std::FILE* out);

} // namespace mta::postqueue
