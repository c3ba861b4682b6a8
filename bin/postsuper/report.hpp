// What postsuper says of what it does: a line for each message where one is due, --json, --count, and the summary.
#pragma once

#include <cstdio>
#include <string_view>

#include <mta/config/command_log.hpp>

#include "actions.hpp"
#include "postsuper.hpp"

namespace mta::postsuper {

class report {
public:
    // All of these are the command's.
    report(const options& asked, config::command_log& log, std::FILE* out) : options_(asked), log_(log), out_(out) {}

    // The action was done to that message, or would be (--dry-run). named: by its ID.
    void tell(char action, const found_file& file, bool named);
    // At the end; asked_for has the letters of all actions.
    void summary(const counts& done, std::string_view asked_for, unsigned long renamed);

private:
    void count(const char* what, unsigned long number);

    const options& options_;
    config::command_log& log_;
    std::FILE* out_;
    unsigned long treated_ = 0;
};

} // namespace mta::postsuper
