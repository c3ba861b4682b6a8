// Where the recipients of a message go, and which of them travel together. A part of queue_manager.
#include <map>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/table/live_table.hpp>

#include "lookups.hpp"
#include "queue_manager.hpp"

namespace mta::daemon {
namespace {

constexpr std::size_t most_recipients = 1000;    // of one delivery, so that request and answer fit in a frame
constexpr std::size_t recipients_per_turn = 500; // then other coroutines get the loop
constexpr std::size_t recipients_per_job = 100;  // where a table has to wait, on a pool thread

} // namespace

// The batches of a message that are still being filled.
struct queue_manager::routing {
    struct open_batch {
        delivery::batch work;
        std::string key;
    };
    message_ptr message;
    std::size_t next = 0;
    bool waited = false; // for a table
    std::map<std::pair<std::string, std::string>, open_batch> open; // by transport and queue key
};

// content_filter goes before every other rule (a probe is not filtered); without a nexthop of its own it is
// default_filter_nexthop, or the recipient's domain.
result<rewrite::route> queue_manager::route_of(const active_message& message, const std::string& recipient) {
    const auto& filter = message.envelope.content_filter;
    if (filter.empty() || message.probe())
        return router_.resolve(message.envelope.sender, recipient);
    rewrite::route out;
    const auto colon = filter.find(':');
    out.transport = filter.substr(0, colon);
    if (colon != std::string::npos)
        out.nexthop = filter.substr(colon + 1);
    if (out.nexthop.empty())
        out.nexthop = worker_.cfg().text("default_filter_nexthop");
    if (out.nexthop.empty())
        out.nexthop = address::split_address(recipient).domain;
    if (out.nexthop.empty())
        out.nexthop = worker_.cfg().text("myhostname");
    out.recipient = recipient;
    return out;
}

void queue_manager::route_all(const message_ptr& message) {
    ++message->outstanding; // until all are queued, so that an early refusal does not finish the message
    if (!message->envelope.redirect.empty() && !message->envelope.recipients.empty()) {
        // One recipient takes the place of all.
        message->envelope.recipients.resize(1);
        message->envelope.recipients.front().address = message->envelope.redirect;
    }
    auto state = std::make_shared<routing>();
    state->message = message;
    route_some(state);
}

// A batch for each destination and recipient limit, some recipients a turn.
void queue_manager::route_some(const std::shared_ptr<routing>& state) {
    if (gone())
        return;
    const auto& message = state->message;
    auto& recipients = message->envelope.recipients;
    const auto end = std::min(recipients.size(), state->next + recipients_per_turn);
    for (; state->next < end; ++state->next) {
        if (!route_one(*state)) {
            route_later(state);
            return;
        }
    }
    if (state->next < recipients.size()) {
        boost::asio::post(worker_.io(), [this, state] { route_some(state); });
        dispatch();
        return;
    }
    for (auto& [destination, slot] : state->open)
        if (!slot.work.recipients.empty())
            add_batch(message, std::move(slot.work), slot.key);
    // Else whoever feeds sends for several messages.
    const bool alone = recipients.size() > recipients_per_turn || state->waited;
    batch_done(message);
    if (alone)
        dispatch();
}

// False when a table would have to wait.
bool queue_manager::route_one(routing& state) {
    const table::no_waiting on_the_loop;
    auto route = route_of(*state.message, state.message->envelope.recipients[state.next].address);
    if (table::no_waiting::refused())
        return false;
    take_route(state, state.next, std::move(route));
    return true;
}

void queue_manager::route_later(const std::shared_ptr<routing>& state) {
    state->waited = true;
    unrouted_.push_back(state);
    if (routers_ < table::live_table_handles)
        worker_.spawn(route_waiting());
}

boost::asio::awaitable<void> queue_manager::route_waiting() {
    ++routers_;
    while (!unrouted_.empty() && !gone()) {
        auto state = std::move(unrouted_.front());
        unrouted_.pop_front();
        co_await route_on_thread(std::move(state));
    }
    --routers_;
}

// The next recipients, where the table waits on a pool thread. Nothing changes a message's envelope meanwhile but this.
boost::asio::awaitable<void> queue_manager::route_on_thread(std::shared_ptr<routing> state) {
    const auto first = state->next;
    const auto count = std::min(recipients_per_job, state->message->envelope.recipients.size() - first);
    auto job = [this, message = state->message, first, count]() -> result<std::vector<result<rewrite::route>>> {
        std::vector<result<rewrite::route>> out;
        for (std::size_t i = first; i < first + count; ++i) {
            const table::limited_waiting on_a_thread(table::thread_patience);
            out.push_back(route_of(*message, message->envelope.recipients[i].address));
        }
        return out;
    };
    auto routes = co_await worker_.tables().run(std::move(job));
    if (gone())
        co_return;
    for (std::size_t i = 0; i < count; ++i)
        take_route(*state, first + i, routes ? std::move((*routes)[i]) : failure(routes.error()));
    state->next += count;
    route_some(state);
}

void queue_manager::take_route(routing& state, std::size_t index, result<rewrite::route> route) {
    const auto& message = state.message;
    auto& recipient = message->envelope.recipients[index];
    if (!route) {
        log_.warning(message->id + ": " + route.error().text());
        defer_recipient(*message, index, "4.3.0", "address resolver failure");
        return;
    }
    recipient.address = route->recipient;
    const auto limit = static_cast<std::size_t>(std::max(scheduler_.limits(route->transport).recipients, 0));
    const auto key = limit == 1 ? recipient.address : lower(route->nexthop); // one host, one queue
    auto& slot = state.open[{route->transport, key}];
    if (slot.work.recipients.empty()) {
        slot.work.message = message->id;
        slot.work.transport = route->transport;
        slot.work.nexthop = route->nexthop;
        slot.key = key;
    }
    slot.work.recipients.push_back(index);
    if (slot.work.recipients.size() >= (limit > 0 ? std::min(limit, most_recipients) : most_recipients))
        add_batch(message, std::exchange(slot.work, {}), slot.key);
}

} // namespace mta::daemon
