// The queue worker: queue manager, and the public sockets that belong to the queue.
//
// Touches the whole spool. Runs as mail_owner, without a network.
#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/net/connect.hpp>
#include <mta/queue/listing.hpp>

#include "cleanup_server.hpp"
#include "flush_server.hpp"
#include "queue_manager.hpp"
#include "services.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::chrono::milliseconds client_limit{60000}; // one write to a slow client

// public/showq: one listing a connection. Runs on a pool thread.
void list_to(const unique_fd& client, const queue::spool& spool, const queue::listing_options& options) {
    std::string out = queue::showq_greeting();
    bool broken = false;
    const auto flush = [&] {
        broken = broken || !send_all(client.get(), std::exchange(out, {}), client_limit);
    };
    (void)queue::list_queue(spool, options, [&](const queue::listed_message& message) {
        out += queue::showq_message(message);
        if (out.size() > 65536)
            flush();
        return broken ? queue::scan_step::stop : queue::scan_step::go_on;
    });
    out += queue::showq_end();
    flush();
}

boost::asio::awaitable<void> serve_showq(worker& owner, net::stream peer) {
    auto client = std::make_shared<unique_fd>(peer.release());
    queue::listing_options options;
    options.empty_address = owner.cfg().text("empty_address_recipient");
    options.duplicate_limit = static_cast<std::size_t>(owner.cfg()[param::duplicate_filter_limit]);
    const auto* spool = &owner.spool();
    auto job = [client, spool, options]() -> result<void> {
        list_to(*client, *spool, options);
        return {};
    };
    auto done = co_await owner.local_ipc().run(std::move(job));
    if (!done)
        owner.log().warning("showq: " + done.error().text());
}

// Lines of master.cf that the queue worker serves only so that clients of the reference find the names.
void close_unserved(endpoint& where) { where.listeners.clear(); }

} // namespace

result<void> start_queue(worker& owner, std::vector<endpoint> endpoints) {
    auto router = rewrite::router::open(owner.cfg());
    if (!router)
        return tl::make_unexpected(router.error());
    auto notices = notice_sender::open(owner.cfg(), owner.spool(), owner.log());
    if (!notices)
        return tl::make_unexpected(notices.error());
    auto services = config::load_master(owner.cfg());
    if (!services)
        return tl::make_unexpected(services.error());
    // The manager lives as long as the process: its coroutines end with the loop.
    static std::unique_ptr<queue_manager> manager;
    manager = std::make_unique<queue_manager>(owner, std::move(*router), std::move(*notices), *services);
    for (auto& one : endpoints) {
        if (one.program == "qmgr" || one.program == "nqmgr" || one.program == "oqmgr") {
            serve_triggers(owner, one, [](std::string_view requests) { manager->trigger(requests); });
        } else if (one.program == "showq") {
            serve_connections(owner, one, [&owner](net::stream peer) { return serve_showq(owner, std::move(peer)); });
        } else if (one.program == "flush") {
            serve_flush(owner, one, [](std::string_view requests) { manager->trigger(requests); });
        } else if (one.program == "cleanup") {
            auto started = serve_cleanup(owner, one, [](const std::string& id) { manager->arrived(id); });
            if (!started)
                return started;
        } else {
            close_unserved(one);
        }
    }
    return manager->start();
}

} // namespace mta::daemon
