// What deliveries answer, and how a message's attempt ends; notices are made in queue_notices.cpp.
#include <sys/time.h>

#include <algorithm>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/status_line.hpp>

#include "queue_manager.hpp"

namespace mta::daemon {
namespace {

using delivery::outcome;
using delivery::scheduler;

constexpr int crashes_tolerated = 3; // of workers that had the same message in hand

queue::log_entry make_entry(const queue::recipient& to, const delivery::recipient_result& one) {
    queue::log_entry entry;
    std::string storage;
    entry.recipient = address::quoted_view(one.final_address.empty() ? to.address : one.final_address, storage);
    if (one.has_original && !to.original.empty() && to.original != to.address)
        entry.original_recipient = address::quoted_view(to.original, storage);
    entry.offset = to.offset;
    if (one.has_original)
        entry.dsn_original = to.dsn_original;
    entry.notify = to.notify;
    entry.status = one.dsn;
    entry.action = one.outcome == outcome::deferred  ? "delayed"
                   : one.outcome == outcome::bounced ? "failed"
                   : one.action.empty()              ? "relayed"
                                                     : one.action;
    entry.diag_type = one.diag_type;
    entry.diag_text = one.diag_text;
    entry.mta_type = one.mta_type;
    entry.mta_name = one.mta_name;
    entry.reason = one.reason;
    return entry;
}

// The result of the recipient at this offset; most deliverers keep the order of the request.
const delivery::recipient_result* result_of(const delivery::response& answer, long long offset,
                                            std::size_t likely) {
    const auto& all = answer.recipients;
    if (likely < all.size() && all[likely].offset == offset)
        return &all[likely];
    const auto found = std::ranges::find(all, offset, &delivery::recipient_result::offset);
    return found == all.end() ? nullptr : &*found;
}

} // namespace

boost::asio::awaitable<void> queue_manager::collect(std::shared_ptr<net::channel> from) {
    for (;;) {
        auto frame = co_await from->receive();
        if (!frame)
            break;
        if (auto list = attr_list::parse(*frame); list && list->get("type") == "new") {
            arrived(std::string(list->get("queue_id")));
            continue;
        } else if (list && list->get("type") == "scan") {
            scan_soon(queue::directory::incoming, time_stamps::respected);
            continue;
        }
        auto answer = delivery::response::parse(*frame);
        if (!answer) {
            // Whose deliveries it was about cannot be told. A new queue worker reads all again.
            log_.error("damaged answer from a worker: " + answer.error().text());
            worker_.io().stop();
            co_return;
        }
        on_response(*answer);
    }
    lost_peer(from);
}

void queue_manager::on_response(const delivery::response& answer) {
    auto entry = flights_.extract(answer.serial);
    if (entry.empty())
        return;
    const auto message = entry.mapped().message;
    const auto& asked = entry.mapped().work.recipients;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        const auto* one = result_of(answer, message->envelope.recipients[asked[i]].offset, i);
        if (one == nullptr)
            message->reread =
                true; // a recipient without a result was not served: the file says what is to do
        else
            take_result(*message, asked[i], *one, answer.parts);
    }
    const bool failed = !answer.dead_destination.empty();
    const auto refused =
        scheduler_.finished(answer.serial, failed ? scheduler::feedback::failed : scheduler::feedback::good,
                            answer.dead_destination, std::chrono::steady_clock::now());
    for (const auto& one : refused)
        refuse(one);
    batch_done(message);
    dispatch();
}

void queue_manager::take_result(active_message& message, std::size_t index,
                                const delivery::recipient_result& one,
                                std::span<const delivery::recipient_result> parts) {
    const auto& to = message.envelope.recipients[index];
    const auto before = message.reported.size();
    for (const auto& part : parts)
        if (part.offset == one.offset)
            note_delivery(message, to, part);
    if (message.reported.size() == before)
        note_delivery(message, to, one);
    if (one.outcome == outcome::delivered || message.probe())
        return;
    auto& list = one.outcome == outcome::bounced && !worker_.cfg()[param::soft_bounce] ? message.bounced
                                                                                       : message.deferred;
    list.push_back(make_entry(to, one));
}

// Success is reported to who asked for it, unless a next host that knows DSN was asked to do so (RFC
// 3461 5.2); sendmail -v asks for everything that the first attempt brings.
void queue_manager::note_delivery(active_message& message, const queue::recipient& to,
                                  const delivery::recipient_result& one) {
    const bool everything = message.probe() || (message.envelope.trace_flags & queue::trace_record) != 0;
    const bool asked = (to.notify & queue::notify_success) != 0 && one.outcome == outcome::delivered;
    if (!everything && (!asked || one.action.empty()))
        return;
    auto entry = make_entry(to, one);
    if (message.probe())
        entry.action = delivery::status_word(one.outcome, true);
    if (!one.relay.empty())
        entry.reason = "delivery via " + one.relay + ": " + entry.reason;
    message.reported.push_back(std::move(entry));
}

void queue_manager::defer_recipient(active_message& message, std::size_t index, std::string dsn,
                                    const std::string& reason) {
    const auto& to = message.envelope.recipients[index];
    delivery::recipient_result one;
    one.offset = to.offset;
    one.dsn = std::move(dsn);
    one.reason = reason;
    delivery::request about;
    about.arrival = message.envelope.arrival;
    about.active = message.active;
    ::gettimeofday(&about.sent, nullptr);
    error_log_.with_number(worker_.next_number())
        .info(delivery::status_line(message.id, to.address, to.original, "none",
                                    delivery::delays_until_now(about), one.dsn,
                                    delivery::status_word(one.outcome, message.probe()), reason));
    note_delivery(message, to, one);
    if (!message.probe())
        message.deferred.push_back(make_entry(to, one));
}

// What waited for a destination that turned out dead.
void queue_manager::refuse(const delivery::scheduler::refusal& refused) {
    const auto waiting = waiting_.extract(refused.work.serial);
    if (waiting.empty())
        return;
    const auto& message = waiting.mapped();
    for (const auto index : refused.work.recipients)
        defer_recipient(*message, index, "4.4.1", "delivery temporarily suspended: " + refused.reason);
    batch_done(message);
}

// A worker died, or was replaced: which of its recipients were served stands in the queue files alone.
void queue_manager::lost_peer(const std::shared_ptr<net::channel>& peer) {
    std::vector<unsigned long> lost;
    for (const auto& [serial, one] : flights_)
        if (one.through == peer)
            lost.push_back(serial);
    for (const auto serial : lost) {
        auto entry = flights_.extract(serial);
        (void)scheduler_.finished(serial, scheduler::feedback::none, {}, std::chrono::steady_clock::now());
        const auto message = entry.mapped().message;
        message->reread = true;
        batch_done(message);
    }
    if (!lost.empty())
        dispatch();
}

void queue_manager::batch_done(const message_ptr& message) {
    if (--message->outstanding == 0)
        finish(message);
}

bool queue_manager::expired(const active_message& message) const {
    if (message.force_expired)
        return true;
    const auto& cfg = worker_.cfg();
    const auto lifetime = message.envelope.sender.empty() ? cfg[param::bounce_queue_lifetime]
                                                          : cfg[param::maximal_queue_lifetime];
    return ::time(nullptr) >= message.envelope.arrival.tv_sec + lifetime.count();
}

// Every batch of this attempt has ended.
void queue_manager::finish(const message_ptr& message) {
    if (message->reread) {
        retry_at_once(message);
        return;
    }
    if (!message->deferred.empty() && expired(*message)) {
        std::string storage;
        log_.info(message->id + ": from=<" +
                  std::string(address::quoted_view(message->envelope.sender, storage)) +
                  ">, status=" + (message->force_expired ? "force-" : "") + "expired, returned to sender");
        for (auto& entry : message->deferred) {
            entry.action = "failed";
            message->bounced.push_back(std::move(entry));
        }
        message->deferred.clear();
    }
    if (!message->bounced.empty() || !message->reported.empty() || message->seen_before ||
        warning_due(*message))
        worker_.spawn(finish_with_notices(message));
    else
        end(message);
}

void queue_manager::end(const message_ptr& message) {
    if (!message->deferred.empty()) {
        defer_message(message);
    } else {
        if (message->seen_before)
            (void)worker_.spool().remove(queue::directory::defer, message->id);
        auto removed = worker_.spool().remove(queue::directory::active, message->id);
        if (!removed)
            log_.warning(message->id + ": " + removed.error().text());
        else if (*removed)
            log_.info(message->id + ": removed");
        crashes_.erase(message->id);
    }
    active_.erase(message->id);
    feed_soon();
}

// The age of the message is its next delay: doubling, within minimal_ and maximal_backoff_time.
void queue_manager::defer_message(const message_ptr& message) {
    const auto& cfg = worker_.cfg();
    timeval next{};
    ::gettimeofday(&next, nullptr);
    const long long age = next.tv_sec - message->envelope.arrival.tv_sec;
    next.tv_sec += std::clamp<long long>(
        age, cfg[param::minimal_backoff_time].count(),
        std::max(cfg[param::minimal_backoff_time], cfg[param::maximal_backoff_time]).count());
    if (auto logged = queue::append_log(worker_.spool(), queue::directory::defer, message->id,
                                        message->deferred, queue::durability::buffered);
        !logged)
        log_.warning(message->id + ": " + logged.error().text());
    auto moved = worker_.spool().defer(queue::directory::active, message->id, next);
    if (moved && on_deferred)
        on_deferred(message->id, message->deferred);
    // Deleted under our hands by an administrator: no reasons to keep for whoever has this name next.
    if (!moved && moved.error().code == std::errc::no_such_file_or_directory)
        (void)worker_.spool().remove(queue::directory::defer, message->id);
    else if (!moved)
        log_.warning(message->id + ": " + moved.error().text());
}

void queue_manager::retry_at_once(const message_ptr& message) {
    const auto id = message->id;
    if (++crashes_[id] > crashes_tolerated) {
        log_.warning(id + ": the delivering worker ended " + std::to_string(crashes_tolerated) +
                     " times with this message; trying again later");
        crashes_.erase(id);
        for (const auto& to : message->envelope.recipients) {
            delivery::recipient_result one;
            one.dsn = "4.3.0";
            one.reason = "mail transport unavailable";
            message->deferred.push_back(make_entry(to, one));
        }
        message->reread = false;
        message->bounced.clear();
        finish(message); // it may be too old for another time
        return;
    }
    auto moved = worker_.spool().move(queue::directory::active, queue::directory::incoming, id);
    active_.erase(id);
    if (moved)
        arrived(id);
    else if (moved.error().code != std::errc::no_such_file_or_directory)
        log_.warning(id + ": " + moved.error().text());
}

} // namespace mta::daemon
