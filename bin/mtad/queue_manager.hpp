// The queue manager: what is due becomes active, goes to the workers that deliver, and ends delivered,
// returned or deferred. What Postfix calls qmgr.
//
// It never trusts memory for the truth: the queue file says which recipients are still to be served. A worker
// that dies costs a second reading of the files that it had in hand. No step removes or marks anything before
// what it stands for is on disk: bounce record, then notice, then mark.
//
// Runs on the worker's loop; what flushes runs on the disk pool.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <mta/config/master.hpp>
#include <mta/core/lock.hpp>
#include <mta/delivery/request.hpp>
#include <mta/delivery/scheduler.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/queue/spool.hpp>
#include <mta/rewrite/router.hpp>

#include "notice_sender.hpp"
#include "roles.hpp"
#include "worker.hpp"

namespace mta::daemon {

class queue_manager {
public:
    queue_manager(worker& owner, rewrite::router router, notice_sender notices,
                  const std::vector<config::service_line>& services);

    // Opens the lock of the one queue manager; then, on the loop: takes it, puts what an earlier manager left
    // in active/ back, and goes on for ever.
    [[nodiscard]] result<void> start();

    // Told of each message that has come to deferred/, and why.
    std::function<void(const std::string& id, std::span<const queue::log_entry> why)> on_deferred;

    // One message is complete in incoming/.
    void arrived(const std::string& id);

    // Bytes of the public/qmgr trigger protocol (docs/queue-format.md).
    void trigger(std::string_view requests);

private:
    struct active_message {
        // Nothing is delivered: a report of what would be is the purpose (sendmail -bv).
        [[nodiscard]] bool probe() const noexcept {
            return (envelope.trace_flags & (queue::trace_user_probe | queue::trace_server_probe)) != 0;
        }

        std::string id;
        queue::envelope envelope;
        timeval active{};
        bool seen_before = false; // logs of earlier attempts may exist
        bool force_expired = false;
        bool reread = false; // a worker died with some of it
        bool finishing = false;
        std::size_t outstanding = 0; // batches waiting or in flight
        std::vector<queue::log_entry> bounced;
        std::vector<queue::log_entry> deferred;
        std::vector<queue::log_entry>
            reported; // what a delivery report is due about: NOTIFY=SUCCESS, sendmail -v
    };
    using message_ptr = std::shared_ptr<active_message>;
    struct flight {
        message_ptr message;
        delivery::batch work;
        std::shared_ptr<net::channel> through;
        std::optional<worker::busy_guard> busy; // until the worker drains
    };
    struct service {
        std::string program;
        role served_by = role::later;
        int process_limit = 0;
    };
    enum class time_stamps { respected, ignored };

    boost::asio::awaitable<void> begin();
    boost::asio::awaitable<void> scan_periodically();
    boost::asio::awaitable<void> collect(std::shared_ptr<net::channel> from);
    [[nodiscard]] bool recover_active();
    boost::asio::awaitable<void> recover_all();
    void make_way();
    void wake_successor();
    void let_go();
    [[nodiscard]] bool gone() const noexcept { return begun_ && !lock_; }
    void scan_soon(queue::directory which, time_stamps how);

    // Feeding: from notices and scans to active messages.
    void feed_soon();
    void feed();
    [[nodiscard]] bool feed_from_scan(queue::directory which);
    void activate(const std::string& id, queue::directory from);
    [[nodiscard]] std::optional<queue::queue_file> claim(const std::string& id, queue::directory from,
                                                         active_message& into);
    void quarantine(const std::string& id, const error& why);
    void log_active(const active_message& message) const;

    // Routing and dispatch.
    struct routing;
    void route_all(const message_ptr& message);
    void route_some(const std::shared_ptr<routing>& state);
    [[nodiscard]] bool route_one(routing& state);
    void route_later(const std::shared_ptr<routing>& state);
    boost::asio::awaitable<void> route_waiting();
    boost::asio::awaitable<void> route_on_thread(std::shared_ptr<routing> state);
    void take_route(routing& state, std::size_t index, result<rewrite::route> route);
    [[nodiscard]] result<rewrite::route> route_of(const active_message& message,
                                                  const std::string& recipient);
    void add_batch(const message_ptr& message, delivery::batch work, const std::string& queue_key);
    void dispatch();
    [[nodiscard]] bool usable(const std::string& transport) const;
    void send(delivery::batch work);
    [[nodiscard]] delivery::request make_request(const active_message& message,
                                                 const delivery::batch& work) const;
    void answer_here(const message_ptr& message, const delivery::batch& work, std::string_view program);

    // Results.
    void on_response(const delivery::response& answer);
    void take_result(active_message& message, std::size_t index, const delivery::recipient_result& one,
                     std::span<const delivery::recipient_result> parts = {});
    static void note_delivery(active_message& message, const queue::recipient& to,
                              const delivery::recipient_result& one);
    void refuse(const delivery::scheduler::refusal& refused);
    void defer_recipient(active_message& message, std::size_t index, std::string dsn,
                         const std::string& reason);
    void lost_peer(const std::shared_ptr<net::channel>& peer);
    void batch_done(const message_ptr& message);
    void finish(const message_ptr& message);
    boost::asio::awaitable<void> finish_with_notices(message_ptr message);
    [[nodiscard]] static bool warning_due(const active_message& message);
    [[nodiscard]] static result<std::vector<queue::log_entry>> left_unreported(const queue::spool& spool,
                                                                               const active_message& message);
    [[nodiscard]] static result<std::vector<std::string>>
    return_bounced(const queue::spool& spool, notice_sender& notices, const active_message& message);
    [[nodiscard]] static std::vector<std::string>
    warn_of_delay(const queue::spool& spool, notice_sender& notices, const active_message& message);
    [[nodiscard]] static result<std::vector<std::string>>
    report_deliveries(const queue::spool& spool, notice_sender& notices, const active_message& message);
    void end(const message_ptr& message);
    void defer_message(const message_ptr& message);
    [[nodiscard]] bool expired(const active_message& message) const;
    void retry_at_once(const message_ptr& message);

    [[nodiscard]] delivery::transport_limits limits_of(const std::string& transport) const;

    worker& worker_;
    logger log_;
    logger error_log_;
    rewrite::router router_;
    notice_sender notices_;
    std::unordered_map<std::string, service> services_;
    delivery::scheduler scheduler_;
    std::vector<std::weak_ptr<net::channel>> deliverers_;
    unique_fd lock_;
    bool begun_ = false;
    int notices_running_ = 0;

    std::unordered_map<std::string, message_ptr> active_;
    std::unordered_map<unsigned long, message_ptr> waiting_; // serial → message, for batches not yet sent
    std::unordered_map<unsigned long, flight> flights_;
    std::unordered_map<std::string, int> crashes_; // of workers, by the message they had in hand
    unsigned long next_serial_ = 0;

    std::deque<std::string> arrivals_;
    struct scan_state {
        std::optional<queue::scanner> scanner;
        time_stamps stamps = time_stamps::respected;
        bool again = false;
        time_stamps again_stamps = time_stamps::respected;
    };
    scan_state incoming_;
    scan_state deferred_;
    std::deque<std::shared_ptr<routing>> unrouted_; // a table has to wait for them
    std::size_t routers_ = 0;                       // that take care of these
    bool feed_posted_ = false;
    int turn_ = 0;
};

} // namespace mta::daemon
