// The two ways to write as a mailbox's owner: in this process when that is who we are, or through a helper process
// that the spawner starts for us.
//
// Blocking; meant for pool threads, several at once. A helper serves one request at a time and is kept for a while, so
// that a burst to one user costs one process.
#pragma once

#include <chrono>
#include <memory>

#include <mta/core/unique_fd.hpp>
#include <mta/delivery/agents.hpp>

namespace mta::delivery {

// For a mail system that an ordinary user runs: other users' mail is deferred with a text that says so.
[[nodiscard]] std::unique_ptr<mailbox_port> make_own_user_port();

class spawner_port : public mailbox_port {
public:
    // Closes helpers that were idle for at least this long. Call it every few seconds.
    virtual void close_idle(std::chrono::seconds idle) = 0;
    // The spawner died and was started anew: this is the way to it.
    virtual void replace_spawner(unique_fd socket) = 0;
};

struct spawner_limits {
    std::chrono::seconds answer{3600}; // one request; locks and slow file systems included
    std::size_t idle_helpers = 50;     // kept over all users
};

// socket is the stream to the spawner (helper_protocol.hpp).
[[nodiscard]] std::unique_ptr<spawner_port> make_spawner_port(unique_fd socket, spawner_limits limits = {});

} // namespace mta::delivery
