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

#include <mta/core/attr.hpp>
#include <mta/core/unique_fd.hpp>

#include "configuration_at_hand.hpp"
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
    bool rehearsal = false; // it only shows that a worker could start
};

struct spawner_process {
    pid_t serves = -1; // the deliver worker
    std::chrono::steady_clock::time_point started;
};

class worker_set {
public:
    explicit worker_set(const configuration_at_hand& current) : current_(current) {}

    // From now on standard error of new processes is /dev/null: whoever reads the starter's waits for its end.
    void silence();

    // Starts a worker of this role and connects it with those that it talks to.
    [[nodiscard]] result<void> start(const std::string& role);

    // Starts a process that does all that a worker of this role does before it serves, with next, and ends: with status
    // 0 when a worker could serve. It talks to nobody.
    [[nodiscard]] result<pid_t> rehearse(const std::string& role, const configuration_at_hand& next);

    // Whether so many more workers may be started.
    [[nodiscard]] bool room_for(std::size_t more) const noexcept;

    // "drain" to all that were not told before; "stop" to all.
    void drain_all();
    // "drain" to those whose role the newcomer has taken over.
    void drain_older(const child& newcomer);
    void drain(child& one);
    void stop_all();
    void kill_all() noexcept;

    // Takes a worker that was awaited off the list; nullopt when pid is none.
    [[nodiscard]] std::optional<child> remove(pid_t pid);

    // Takes a spawner that was awaited off the list; nullopt when pid is none.
    [[nodiscard]] std::optional<spawner_process> remove_spawner(pid_t pid);
    // The small root process through which the deliver worker's helpers become other users; none without root.
    [[nodiscard]] result<void> start_spawner(const child& deliver);
    [[nodiscard]] bool has_spawner(const child& deliver) const;

    // Opens what next's services listen on besides what is open, while all goes on as it was. After an error that is
    // taken back.
    [[nodiscard]] result<void> open_listeners(const configuration_at_hand& next);
    // Closes what no service of the current configuration listens on.
    void close_unwanted_listeners();

    [[nodiscard]] const std::vector<child>& children() const noexcept { return children_; }
    [[nodiscard]] child* find(pid_t pid) noexcept;

private:
    [[nodiscard]] result<pid_t> execute(const std::vector<std::string>& words, unique_fd socket,
                                        const configuration_at_hand& with);
    [[nodiscard]] result<child*> launch(const std::string& role, const configuration_at_hand& with, bool rehearsal);
    [[nodiscard]] result<void> prepare(child& started);
    [[nodiscard]] result<void> introduce(child& to, const configuration_at_hand& with);
    [[nodiscard]] result<void> connect_peers(child& newcomer);
    [[nodiscard]] static result<void> connect(child& a, child& b);
    [[nodiscard]] std::optional<unsigned long> free_slot() const;

    const configuration_at_hand& current_;
    listener_set listeners_;
    std::vector<child> children_;
    std::map<pid_t, spawner_process> spawners_;
    unique_fd null_;
};

} // namespace mta::daemon
