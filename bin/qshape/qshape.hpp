// qshape: counts waiting mail by domain and age.
//
// Reads queue files directly, so it needs the rights of root or of the mail owner; changes nothing. Half-written files
// and those set to expire are left out; so is, with a word, what cannot be read.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "shape.hpp"

namespace mta::qshape {

struct options {
    shape_options shape;
    bool senders = false;                        // -s
    bool json = false;                           // --json
    std::optional<unsigned long> batch;          // -N: on a terminal, an interim table after so many messages
    std::optional<std::string> config_directory; // -c
    std::vector<std::string> queues;             // names or absolute paths; empty: incoming and active
};

// Returns the exit status.
int run(options opt, std::FILE* out);

} // namespace mta::qshape
