// Walks one queue on several threads, each in a directory of its own as long as there are enough of them.
//
// For work that changes directories: the kernel lets one thread at a time change a directory, so threads that work
// side by side in one wait for each other. Memory does not grow with the queue.
#pragma once

#include <functional>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

// by_inode: a piece of a directory at a time, which is how disks like their files to be removed.
enum class scan_order { as_found, by_inode };

// The files that a scanner would meet. visit runs on several threads at once, and may remove or rename what it is shown;
// no thread outlives the call. skipped is never called twice at once. Errors: the queue's own directory cannot be read.
[[nodiscard]] result<void> spread_scan(const spool& where, directory which, unsigned threads, scan_order order,
                                       const std::function<scan_step(const scan_entry&)>& visit,
                                       const scanner::skip_report& skipped = {});

// True when that queue, or directory of logs, holds any file.
[[nodiscard]] result<bool> has_files(const spool& where, directory which);

} // namespace mta::queue
