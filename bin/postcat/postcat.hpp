// postcat: shows queue files in readable form.
//
// Reads only. Safe on damaged and hostile files: what cannot be read ends the file with an error.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace mta::postcat {

struct options {
    bool envelope = false; // -e; none of the three means all
    bool header = false;   // -h
    bool body = false;     // -b
    bool queue_ids = false;   // -q: operands are queue IDs
    bool types = false;       // -d: decimal record types
    bool offsets = false;     // -o
    bool raw = false;         // -r with -v: file order
    bool file_names = false;  // -f: the file name before each line
    int verbose = 0;          // -v
    bool json = false;        // --json
    bool message = false;     // --raw
    long long start = 0;      // -s
    std::optional<std::string> config_directory; // -c
    std::vector<std::string> files;              // empty: standard input
};

// Returns the exit status. Messages go to standard error and the mail log.
int run(options opt, std::FILE* out);

} // namespace mta::postcat
