// Beginning, end and dispatch. What becomes active is found in queue_feeding.cpp, where recipients go in queue_routing.cpp;
// what comes back is handled in queue_results.cpp.
#include <boost/asio/steady_timer.hpp>

#include <algorithm>

#include <mta/core/file.hpp>
#include <mta/delivery/error_results.hpp>
#include <mta/delivery/status_line.hpp>

#include "queue_manager.hpp"

namespace mta::daemon {

queue_manager::queue_manager(worker& owner, rewrite::router router, notice_sender notices,
                             const std::vector<config::service_line>& services)
    : worker_(owner), log_(owner.log().with_tag(owner.cfg().text("syslog_name") + "/qmgr")),
      error_log_(owner.log().with_tag(owner.cfg().text("syslog_name") + "/error")),
      router_(std::move(router)), notices_(std::move(notices)),
      scheduler_([this](const std::string& name) { return limits_of(name); }) {
    const auto otherwise = static_cast<int>(owner.cfg()[param::default_process_limit]);
    for (const auto& line : services)
        if (line.type == config::service_type::local)
            services_[line.name] = {line.program, role_of(line.program).value_or(role::later),
                                    line.maxproc < 0 ? otherwise : line.maxproc};
}

delivery::transport_limits queue_manager::limits_of(const std::string& transport) const {
    const auto& cfg = worker_.cfg();
    const auto number = [&](const char* suffix, long long otherwise) {
        const auto value = cfg.number(transport + suffix);
        return static_cast<int>(value ? *value : otherwise);
    };
    delivery::transport_limits limits;
    limits.initial_concurrency = std::max(number("_initial_destination_concurrency", 5), 1);
    limits.concurrency = number("_destination_concurrency_limit", 20);
    limits.recipients = number("_destination_recipient_limit", 50);
    limits.failed_cohorts = number("_destination_concurrency_failed_cohort_limit", 1);
    limits.retry = cfg[param::minimal_backoff_time];
    const auto known = services_.find(transport);
    limits.processes = known == services_.end() ? 1 : known->second.process_limit;
    return limits;
}

result<void> queue_manager::start() {
    // pid/ belongs to root: opened before privileges are dropped.
    auto opened = open_file("pid/unix.qmgr", O_RDWR | O_CREAT, 0600);
    if (!opened)
        return tl::make_unexpected(opened.error());
    lock_ = std::move(*opened);
    worker_.on_stop([this] { make_way(); });
    worker_.spawn(begin());
    for (const char* role : {"send", "deliver", "receive"})
        worker_.on_peer(role, [this, delivers = role != std::string_view("receive")](std::shared_ptr<net::channel> peer) {
            if (delivers)
                deliverers_.push_back(peer);
            worker_.spawn(collect(std::move(peer)));
            if (begun_)
                dispatch();
        });
    return {};
}

boost::asio::awaitable<void> queue_manager::begin() {
    // An earlier queue worker (before a reload, or orphaned) holds the lock until it has let go of
    // everything.
    for (;;) {
        auto held = try_lock(lock_.get(), lock_mode::exclusive);
        if (held && *held)
            break;
        if (worker_.stopping())
            co_return;
        (void)co_await net::sleep_for(std::chrono::milliseconds(20));
    }
    begun_ = true;
    worker_.spawn(recover_all());
    // A clock that went back must not hold up what is new.
    scan_soon(queue::directory::incoming, time_stamps::ignored);
    scan_soon(queue::directory::deferred, time_stamps::respected);
    co_await scan_periodically();
}

// A drained worker makes way at once: deliveries that still run hold locks on their files and mark them, so
// that the successor serves everything else now, and the rest when they are done. Only notices on their way
// are waited for.
void queue_manager::make_way() {
    if (worker_.ending())
        return; // a stop waits for results while it may
    for (auto& [serial, one] : flights_)
        one.busy.reset();
    if (notices_running_ == 0)
        let_go();
}

// From here on the queue belongs to whoever takes the lock; listings and the cleanup service go on. Those who deliver are
// hung up on first: what they have not begun is nobody's but the successor's (asker.hpp).
void queue_manager::let_go() {
    for (const auto& one : std::exchange(deliverers_, {}))
        if (const auto peer = one.lock())
            peer->close();
    lock_.reset();
    flights_.clear();
    waiting_.clear();
    active_.clear();
}

void queue_manager::add_batch(const message_ptr& message, delivery::batch work,
                              const std::string& queue_key) {
    work.serial = ++next_serial_;
    ++message->outstanding;
    const auto known = services_.find(work.transport);
    const std::string program = known == services_.end() ? std::string() : known->second.program;
    if (program == "error" || program == "retry" || program == "discard") {
        answer_here(message, work, program);
        return;
    }
    waiting_[work.serial] = message;
    const auto serial = work.serial;
    if (auto refused = scheduler_.add(std::move(work), queue_key, std::chrono::steady_clock::now())) {
        waiting_[serial] = message;
        refuse(*refused);
    }
}

bool queue_manager::usable(const std::string& transport) const {
    const auto known = services_.find(transport);
    if (known == services_.end() || known->second.served_by == role::later)
        return true; // to be deferred
    const auto peer = worker_.peer(std::string(role_name(known->second.served_by)));
    return peer != nullptr && peer->queued() < (std::size_t{1} << 20U);
}

void queue_manager::dispatch() {
    if (worker_.stopping())
        return;
    const auto can = [this](const std::string& transport) { return usable(transport); };
    while (auto work = scheduler_.next(can))
        send(std::move(*work));
}

delivery::request queue_manager::make_request(const active_message& message,
                                              const delivery::batch& work) const {
    const auto& e = message.envelope;
    delivery::request out;
    out.serial = work.serial;
    out.queue_id = message.id;
    out.transport = work.transport;
    out.nexthop = work.nexthop;
    out.sender = e.sender;
    out.encoding = e.encoding;
    out.dsn_envid = e.dsn_envid;
    out.dsn_ret = e.dsn_ret;
    out.message_size = e.size ? e.size->content_size : 0;
    out.data_offset = e.data_offset;
    out.arrival = e.arrival;
    out.active = message.active;
    out.sent = delivery::now_timeval();
    out.reuse = scheduler_.more_waits(work.serial);
    out.smtputf8 = e.size && e.size->send_options != 0;
    out.probe = message.probe();
    out.rewrite_context = e.rewrite_context;
    out.client = e.attributes;
    out.recipients.reserve(work.recipients.size());
    for (const auto index : work.recipients) {
        const auto& r = e.recipients[index];
        out.recipients.push_back({r.offset, r.address, r.original, r.dsn_original, r.notify});
    }
    return out;
}

void queue_manager::send(delivery::batch work) {
    const auto waiting = waiting_.extract(work.serial);
    if (waiting.empty())
        return;
    const auto& message = waiting.mapped();
    const auto known = services_.find(work.transport);
    if (known == services_.end() || known->second.served_by == role::later) {
        const std::string reason = known == services_.end()
                                       ? "mail transport \"" + work.transport + "\" is not in master.cf"
                                       : "mail transport \"" + work.transport + "\": program " +
                                             known->second.program + " is not served by this version";
        log_.warning(reason);
        (void)scheduler_.finished(work.serial, delivery::scheduler::feedback::none, {}, {});
        for (const auto index : work.recipients)
            defer_recipient(*message, index, "4.3.0", reason);
        batch_done(message);
        return;
    }
    auto peer = worker_.peer(std::string(role_name(known->second.served_by)));
    peer->send(make_request(*message, work).encode());
    const auto serial = work.serial;
    flights_.emplace(serial, flight{message, std::move(work), std::move(peer), worker_.busy()});
}

// The error, retry and discard transports need no other process.
void queue_manager::answer_here(const message_ptr& message, const delivery::batch& work,
                                std::string_view program) {
    const auto request = make_request(*message, work);
    const auto answer = delivery::error_results(program, request);
    const auto log = error_log_.with_tag(worker_.cfg().text("syslog_name") + "/" + std::string(program))
                         .with_number(worker_.next_number());
    for (std::size_t i = 0; i < answer.recipients.size(); ++i) {
        const auto& one = answer.recipients[i];
        const auto& to = request.recipients[i]; // error_results() keeps the order
        log.info(delivery::status_line(message->id, to.address, to.original, "none",
                                       delivery::delays_until_now(request), one.dsn,
                                       delivery::status_word(one.outcome, request.probe), one.reason));
        if (one.outcome == delivery::outcome::delivered && !request.probe) {
            auto file = queue::queue_file::open(worker_.spool(), queue::directory::active, message->id);
            if (file)
                (void)file->mark_done(one.offset);
        }
        take_result(*message, work.recipients[i], one);
    }
    batch_done(message);
}

} // namespace mta::daemon
