// postsuper: maintenance of the queue by the superuser: delete, hold, release, requeue, expire, repair.
//
// Works on the files alone, beside a running mail system: each change is one rename, chmod or unlink. Runs as the
// mail owner after its start.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <mta/queue/selection.hpp>

namespace mta::postsuper {

struct step {
    char action = 0; // d e f h H r
    std::string id;  // a queue ID, "-" (IDs from standard input) or "ALL"
};

struct options {
    std::vector<step> steps;
    bool structure = false;      // -s
    bool long_structure = false; // -S
    bool purge = false;          // -p
    int verbose = 0;
    std::optional<std::string> config_directory;
    queue::selection selection;      // the messages that actions are for; empty: all
    bool dry_run = false;            // say what would be done
    bool count = false;              // dry_run, and print only the number
    bool json = false;               // a JSON object on standard output for each message
    std::vector<std::string> queues; // empty: the defaults of each action
};

// Returns the exit status. Messages go to standard error and the mail log; out gets --count and --json.
int run(options opt, std::FILE* in, std::FILE* out);

} // namespace mta::postsuper
