// What every worker of mtad has: an event loop, the configuration, the log, the spool, a disk pool, the endpoints
// that the supervisor handed over, and channels to the other workers.
//
// A worker starts as root (when mtad was started by root), is told its endpoints and peers, lets its services open
// every table that the configuration names, drops to mail_owner, and only then reads input. Its control socket
// tells it to stop; its end means that the supervisor is gone, and has the same effect.
//
// Single-threaded but for the pools: everything here is used from the loop's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/core/users.hpp>
#include <mta/net/asio.hpp>
#include <mta/net/channel.hpp>
#include <mta/net/pool.hpp>
#include <mta/queue/spool.hpp>

namespace mta::daemon {

// One line of master.cf as a worker sees it.
struct endpoint {
    std::string service; // "smtp", "127.0.0.1:2525", "pickup"
    std::string type;    // "inet", "unix"
    std::string program; // "smtpd", "pickup"
    config::configuration cfg = config::configuration::defaults({}); // with the line's -o overrides
    std::string tag;           // "postfix/smtpd", as syslog_name says
    std::vector<unique_fd> listeners;
    int process_limit = 100; // concurrent sessions or deliveries; 0 is none
    int wakeup = 0;          // seconds between wake-ups, 0 is never
};

class worker {
public:
    worker(boost::asio::io_context& io, std::string role, config::configuration cfg, logger log);
    ~worker();

    [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
    [[nodiscard]] const config::configuration& cfg() const noexcept { return cfg_; }
    [[nodiscard]] const logger& log() const noexcept { return log_; }
    [[nodiscard]] const std::string& role() const noexcept { return role_; }

    // For fsync, and for whatever else waits for a disk.
    [[nodiscard]] net::pool& disk() noexcept { return *disk_; }
    // For lookups in tables that have to wait (lookups.hpp).
    [[nodiscard]] net::pool& tables() noexcept { return *tables_; }
    // For notices about mail, made one after the other.
    [[nodiscard]] net::pool& notices() noexcept { return *notices_; }
    // For conversations with local programs, which may be slow.
    [[nodiscard]] net::pool& local_ipc() noexcept { return *local_ipc_; }
    // The queue; relative to the working directory, which is queue_directory.
    [[nodiscard]] const queue::spool& spool() const noexcept { return *spool_; }

    // The account that mail processes run as; the caller's own when mtad was not started by root.
    [[nodiscard]] const user& mail_owner() const noexcept { return mail_owner_; }
    [[nodiscard]] bool privileged() const noexcept { return privileged_; }

    // A number for a log tag that no other live session or delivery of this mail system has.
    [[nodiscard]] unsigned long next_number() noexcept;
    [[nodiscard]] logger session_log(const endpoint& where) {
        return {log_.sink(), where.tag, next_number()};
    }

    // A coroutine of a service; an exception that ends it is logged.
    void spawn(boost::asio::awaitable<void> session);

    // Held by each session or delivery in progress: a stopping worker waits for them (within limits).
    class busy_guard {
    public:
        explicit busy_guard(worker& owner) : owner_(&owner) { ++owner_->busy_; }
        busy_guard(busy_guard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
        busy_guard& operator=(busy_guard&&) = delete;
        ~busy_guard() {
            if (owner_ != nullptr)
                owner_->release();
        }

    private:
        worker* owner_;
    };
    [[nodiscard]] busy_guard busy() { return busy_guard(*this); }

    // No new work: nothing is accepted, deliveries do not start; what runs may run to its end.
    [[nodiscard]] bool stopping() const noexcept { return stopping_; }
    // Called once on the loop when stopping begins: close listeners.
    void on_stop(std::function<void()> action) { stop_actions_.push_back(std::move(action)); }

    // The end is near (stop_limit): sessions end at their next command. Comes with or after stopping().
    [[nodiscard]] bool ending() const noexcept { return ending_; }
    // Called once on the loop when that begins: wake idle sessions.
    void on_end(std::function<void()> action) { end_actions_.push_back(std::move(action)); }

    // Tells the queue worker that incoming/id is complete. A lost message costs time, not mail: incoming/ is
    // scanned at every start and wake-up of the queue worker.
    void notify_queue(const std::string& id);

    // The channel to another worker ("queue", "send", "deliver"), nullptr while it is down. When a peer is
    // replaced, on_peer runs with the new channel in place.
    [[nodiscard]] std::shared_ptr<net::channel> peer(const std::string& role) const;
    void on_peer(const std::string& role, std::function<void(std::shared_ptr<net::channel>)> action);
    // The spawner's socket, taken once; none when mtad was not started by root.
    [[nodiscard]] std::optional<unique_fd> take_spawner();
    // Called on the loop with the socket of a spawner that replaces a dead one.
    void on_spawner(std::function<void(unique_fd)> action);

    // Asked of the supervisor.
    void request_successor(const std::string& why);

    // Used by main.
    struct setup {
        std::vector<endpoint> endpoints;
    };
    [[nodiscard]] result<setup> receive_setup(int control);
    [[nodiscard]] result<void> drop();
    void run();
    void stop();  // and exit within stop_limit
    void drain(); // and exit when the last session has ended

private:
    friend class busy_guard;
    struct impl;
    void release();
    void finish_if_idle();
    void add_peer(const std::string& role, unique_fd fd);
    void control_readable();

    boost::asio::io_context& io_;
    std::string role_;
    config::configuration cfg_;
    logger log_;
    user mail_owner_;
    bool privileged_ = false;
    bool stopping_ = false;
    bool ending_ = false;
    unsigned long slot_ = 0;
    unsigned long counter_ = 0;
    int busy_ = 0;
    std::unique_ptr<net::pool> disk_;
    std::unique_ptr<net::pool> tables_;
    std::unique_ptr<net::pool> notices_;
    std::unique_ptr<net::pool> local_ipc_;
    std::unique_ptr<queue::spool> spool_;
    std::vector<std::function<void()>> stop_actions_;
    std::vector<std::function<void()>> end_actions_;
    std::unique_ptr<impl> impl_;
};

} // namespace mta::daemon
