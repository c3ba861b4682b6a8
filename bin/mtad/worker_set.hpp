// The supervisor's children: the workers, their control sockets, the sockets between them, and the spawner.
//
// Starts them, introduces them to their endpoints and to each other, talks to them, and forgets them when they are
// gone. When one is started, or started again, is the supervisor's business.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/config/master.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/core/users.hpp>

#include "listeners.hpp"

namespace mta::daemon {

struct child {
    std::string role;
    pid_t pid = -1;
    unique_fd control;
    unsigned long slot = 0;
    std::chrono::steady_clock::time_point started;
    bool ready = false;
    bool draining = false;
};

// What a worker is started with; the supervisor's, and read at every start.
struct configuration_at_hand {
    config::configuration cfg = config::configuration::defaults({});
    std::vector<config::service_line> services;
    user owner; // mail_owner; the caller when not privileged
    bool privileged = false;
};

// An error that names a line of master.cf.
[[nodiscard]] failure in_master_cf(const config::configuration& cfg, const config::service_line& line, std::string text);

class worker_set {
public:
    explicit worker_set(const configuration_at_hand& current) : current_(current) {}

    // From now on standard error of new processes is /dev/null: whoever reads the starter's waits for its end.
    void silence();

    // Starts a worker of this role and connects it with those that it talks to.
    [[nodiscard]] result<void> start(const std::string& role);

    // Whether so many more workers may be started.
    [[nodiscard]] bool room_for(std::size_t more) const noexcept;

    // "drain" to all that were not told before; "stop" to all.
    void drain_all();
    void drain(child& one);
    void stop_all();
    void kill_all() noexcept;

    // Takes a worker that was awaited off the list; nullopt when pid is none.
    [[nodiscard]] std::optional<child> remove(pid_t pid);

    // Takes a spawner that was awaited off the list: the process ID of its deliver worker; nullopt when pid is none.
    [[nodiscard]] std::optional<pid_t> remove_spawner(pid_t pid);
    // The small root process through which the deliver worker's helpers become other users; none without root.
    [[nodiscard]] result<void> start_spawner(child& deliver);

    // Closes listeners that no service asks for any more.
    void sweep_listeners() { listeners_.sweep(); }

    [[nodiscard]] const std::vector<child>& children() const noexcept { return children_; }
    [[nodiscard]] child* find(pid_t pid) noexcept;

private:
    [[nodiscard]] result<pid_t> execute(const std::vector<std::string>& words, unique_fd socket);
    [[nodiscard]] result<void> prepare(child& started);
    [[nodiscard]] result<void> introduce(child& to);
    [[nodiscard]] result<void> connect_peers(child& newcomer);
    [[nodiscard]] static result<void> connect(child& a, child& b);
    [[nodiscard]] std::optional<unsigned long> free_slot() const;

    const configuration_at_hand& current_;
    listener_set listeners_;
    std::vector<child> children_;
    std::map<pid_t, pid_t> spawners_; // to the deliver worker it serves
    unique_fd null_;
};

} // namespace mta::daemon
