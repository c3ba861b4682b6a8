// Repairs of the queue directories: names that do not match the inode, files in the wrong hash directory, leftovers.
//
// A wrong name changes in two steps, by way of NEWID#FIX, when the new name may still belong to another wrong file; else
// in one. An interrupted repair is finished by the next one.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::postsuper {

struct repair_options {
    bool structure = false;
    bool long_names = false; // long names must match the inode too
    bool purge = false;
    std::function<bool()> interrupted;           // asked between files, on any thread
    std::function<void(std::string_view)> warn;
    queue::scanner::skip_report skipped; // told of hash directories that cannot be read
};

struct repair_result {
    unsigned long renamed = 0;
    bool incomplete = false; // interrupted while names were being changed
};

// queues in the order given; logs (bounce, defer, trace) follow their messages.
[[nodiscard]] result<repair_result> repair(const queue::spool& spool, const std::vector<queue::directory>& queues,
                                           const repair_options& options);

} // namespace mta::postsuper
