// postsuper: maintenance of the queue by the superuser: delete, hold, release, requeue, expire, repair.
//
// Works on the files alone, beside a running mail system: each change is one rename, chmod or unlink. Runs as the
// mail owner after its start.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

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
    std::vector<std::string> queues; // empty: the defaults of each action
};

// Returns the exit status. Messages go to standard error and the mail log.
int run(options opt, std::FILE* in);

} // namespace mta::postsuper
