// The services of the workers: each opens what its configuration names and then waits on the worker's loop.
//
// A start function runs before privileges are dropped: it opens tables and sockets and reads no input. Its error is a
// fatal start error of the worker.
#pragma once

#include <vector>

#include "worker.hpp"

namespace mta::daemon {

// receive
[[nodiscard]] result<void> start_smtpd(worker& owner, std::vector<endpoint> endpoints);
[[nodiscard]] result<void> start_pickup(worker& owner, endpoint where);

// queue: qmgr, cleanup, showq, flush and the transports that need no process
[[nodiscard]] result<void> start_queue(worker& owner, std::vector<endpoint> endpoints);

// send
[[nodiscard]] result<void> start_smtp(worker& owner, std::vector<endpoint> endpoints);

// deliver
[[nodiscard]] result<void> start_deliver(worker& owner, std::vector<endpoint> endpoints);

// tables: proxymap and proxywrite
[[nodiscard]] result<void> start_tables(worker& owner, std::vector<endpoint> endpoints);

} // namespace mta::daemon
