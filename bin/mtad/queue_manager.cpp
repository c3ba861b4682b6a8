// Feeding and dispatch; where recipients go is found in queue_routing.cpp, and what comes back is handled in
// queue_results.cpp.
#include <sys/time.h>

#include <boost/asio/steady_timer.hpp>

#include <algorithm>

#include <mta/address/parts.hpp>
#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/error_results.hpp>
#include <mta/delivery/status_line.hpp>
#include <mta/queue/errc.hpp>

#include "queue_manager.hpp"

namespace mta::daemon {
namespace {

constexpr int messages_per_turn = 20; // then other coroutines get the loop

timeval now_timeval() {
    timeval now{};
    ::gettimeofday(&now, nullptr);
    return now;
}

} // namespace

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

// Files whose deliveries outlived an earlier queue worker are taken over as these end.
boost::asio::awaitable<void> queue_manager::recover_all() {
    auto pause = std::chrono::milliseconds(500);
    while (!worker_.stopping() && !recover_active()) {
        (void)co_await net::sleep_for(pause);
        pause = std::min<std::chrono::milliseconds>(pause * 2, std::chrono::seconds(30));
    }
}

boost::asio::awaitable<void> queue_manager::scan_periodically() {
    while (!worker_.stopping()) {
        (void)co_await net::sleep_for(worker_.cfg()[param::queue_run_delay]);
        if (worker_.stopping())
            break;
        (void)recover_active();
        scan_soon(queue::directory::incoming, time_stamps::respected);
        scan_soon(queue::directory::deferred, time_stamps::respected);
    }
}

// What is in active/ and not in our hands was left by an earlier queue worker. A delivery of its time may
// still be running: then the file is locked, and the answer is false.
bool queue_manager::recover_active() {
    std::vector<std::string> found;
    (void)queue::scan(worker_.spool(), queue::directory::active, [&](const queue::scan_entry& entry) {
        if (queue::is_valid_queue_id(entry.name) && !active_.contains(std::string(entry.name)))
            found.emplace_back(entry.name);
        return queue::scan_step::go_on;
    });
    bool all = true;
    for (const auto& id : found) {
        auto file = queue::queue_file::open(worker_.spool(), queue::directory::active, id);
        if (!file)
            continue;
        auto locked = file->try_lock(lock_mode::exclusive);
        if (!locked || !*locked) {
            log_.info(id + ": skipped, still being delivered");
            all = false;
            continue;
        }
        if (auto moved = worker_.spool().move(queue::directory::active, queue::directory::incoming, id);
            moved)
            arrived(id);
        else
            log_.warning(id + ": " + moved.error().text());
    }
    return all;
}

void queue_manager::arrived(const std::string& id) {
    if (gone()) {
        wake_successor();
        return;
    }
    if (arrivals_.size() < 10000)
        arrivals_.push_back(id);
    else
        scan_soon(queue::directory::incoming, time_stamps::respected);
    feed_soon();
}

// Through the socket that everybody uses, which is the successor's by now.
void queue_manager::wake_successor() {
    (void)worker_.local_ipc().start([path = worker_.spool().root() + "/public/qmgr"] {
        constexpr std::chrono::seconds limit{2};
        if (auto socket = connect_local(path, limit))
            (void)send_all(socket->get(), "I", limit);
    });
}

void queue_manager::trigger(std::string_view requests) {
    const auto stamps =
        requests.find('A') != std::string_view::npos ? time_stamps::ignored : time_stamps::respected;
    if (requests.find('F') != std::string_view::npos)
        scheduler_.forgive();
    if (requests.find_first_of("IW") != std::string_view::npos)
        scan_soon(queue::directory::incoming, stamps);
    if (requests.find('D') != std::string_view::npos)
        scan_soon(queue::directory::deferred, stamps);
}

void queue_manager::scan_soon(queue::directory which, time_stamps how) {
    auto& state = which == queue::directory::incoming ? incoming_ : deferred_;
    if (state.scanner) {
        // What has arrived behind the running scan is for the next one.
        state.again = true;
        if (how == time_stamps::ignored)
            state.again_stamps = how;
    } else {
        state.scanner.emplace(worker_.spool(), which);
        state.stamps = how;
    }
    feed_soon();
}

void queue_manager::feed_soon() {
    if (!begun_ || gone() || std::exchange(feed_posted_, true))
        return;
    boost::asio::post(worker_.io(), [this] {
        feed_posted_ = false;
        feed();
    });
}

// Fair between new and old mail: one of each in turn.
void queue_manager::feed() {
    const auto limit = static_cast<std::size_t>(worker_.cfg()[param::qmgr_message_active_limit]);
    for (int count = 0; count < messages_per_turn; ++count) {
        if (worker_.stopping() || active_.size() >= limit)
            break;
        const bool old_first = ++turn_ % 2 == 0;
        if (old_first && feed_from_scan(queue::directory::deferred))
            continue;
        if (!arrivals_.empty()) {
            const auto id = std::move(arrivals_.front());
            arrivals_.pop_front();
            activate(id, queue::directory::incoming);
            continue;
        }
        if (feed_from_scan(queue::directory::incoming) || feed_from_scan(queue::directory::deferred))
            continue;
        dispatch();
        return;
    }
    dispatch();
    if (!worker_.stopping() && active_.size() < limit)
        feed_soon();
}

// Looks at one more file of a running scan. False when there is none.
bool queue_manager::feed_from_scan(queue::directory which) {
    auto& state = which == queue::directory::incoming ? incoming_ : deferred_;
    if (!state.scanner)
        return false;
    auto entry = state.scanner->next();
    if (!entry)
        log_.warning("scan " + std::string(queue::name(which)) + ": " + entry.error().text());
    if (!entry || !*entry) {
        state.scanner.reset();
        if (std::exchange(state.again, false)) {
            state.scanner.emplace(worker_.spool(), which);
            state.stamps = std::exchange(state.again_stamps, time_stamps::respected);
        }
        return state.scanner.has_value();
    }
    const std::string id((*entry)->name);
    if (!queue::is_valid_queue_id(id) || active_.contains(id))
        return true;
    struct stat status {};
    if (::fstatat((*entry)->directory_fd, id.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return true; // gone meanwhile
    if (state.stamps == time_stamps::respected && status.st_mtime > ::time(nullptr))
        return true;
    activate(id, which);
    return true;
}

// Locks the file, takes it into active/ and reads its envelope. nullopt when it is not (or no longer) ours to
// take.
std::optional<queue::queue_file> queue_manager::claim(const std::string& id, queue::directory from,
                                                      active_message& into) {
    auto file = queue::queue_file::open(worker_.spool(), from, id);
    if (!file) {
        if (file.error().code != std::errc::no_such_file_or_directory)
            log_.warning(id + ": " + file.error().text());
        return std::nullopt;
    }
    const auto mode = file->status().st_mode;
    if (!queue::is_complete(mode) && !queue::is_marked_corrupt(mode))
        return std::nullopt; // still being written
    auto locked = file->try_lock(lock_mode::exclusive);
    if (!locked || !*locked) {
        log_.info(id + ": skipped, still being delivered");
        return std::nullopt;
    }
    if (queue::is_marked_corrupt(mode)) {
        if (auto moved = worker_.spool().move(from, queue::directory::active, id); moved)
            quarantine(id, error{errc::malformed, "marked corrupt"});
        return std::nullopt;
    }
    if (auto moved = worker_.spool().move(from, queue::directory::active, id); !moved) {
        // Deleted by an administrator, unless it is active/ that is missing.
        struct stat status {};
        if (moved.error().code != std::errc::no_such_file_or_directory ||
            ::stat(worker_.spool().path(from, id).c_str(), &status) == 0)
            log_.warning(id + ": cannot make the message active: " + moved.error().text());
        return std::nullopt;
    }
    auto envelope = file->read_envelope();
    if (!envelope) {
        quarantine(id, envelope.error());
        return std::nullopt;
    }
    into.envelope = std::move(*envelope);
    into.force_expired = queue::is_force_expired(mode);
    if (queue::is_unthrottled(mode))
        scheduler_.forgive();
    return std::move(*file);
}

void queue_manager::activate(const std::string& id, queue::directory from) {
    if (active_.contains(id))
        return;
    auto message = std::make_shared<active_message>();
    message->id = id;
    message->active = now_timeval();
    message->seen_before = from == queue::directory::deferred;
    {
        const auto file = claim(id, from, *message);
        if (!file)
            return;
        // A recovered message may have a bounce log that no notice was made of yet; its file is old.
        const auto& status = file->status();
        message->seen_before = message->seen_before || status.st_mtime + 2 < message->active.tv_sec;
    }
    if (message->seen_before)
        (void)worker_.spool().remove(queue::directory::defer, id); // the reasons of this attempt replace it
    active_.emplace(id, message);
    log_active(*message);
    route_all(message);
}

void queue_manager::log_active(const active_message& message) const {
    std::string storage;
    const auto& e = message.envelope;
    const auto size = e.size ? e.size->content_size : 0;
    std::string line = message.id + ": from=<";
    line.append(address::quoted_view(e.sender, storage)).append(">, size=").append(std::to_string(size));
    line.append(", nrcpt=").append(std::to_string(e.recipients.size())).append(" (queue active)");
    log_.info(line);
}

void queue_manager::quarantine(const std::string& id, const error& why) {
    log_.warning(id + ": message rejected: " + why.text());
    log_.warning("saving corrupt file \"" + id + "\" from queue \"active\" to queue \"corrupt\"");
    if (auto moved = worker_.spool().move(queue::directory::active, queue::directory::corrupt, id); !moved)
        log_.error(id + ": " + moved.error().text());
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
    out.sent = now_timeval();
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
