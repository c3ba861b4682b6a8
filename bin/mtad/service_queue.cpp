// The queue worker: queue manager, and the public sockets that belong to the queue.
//
// Touches the whole spool. Runs as mail_owner, without a network.
#include <mta/net/connect.hpp>
#include <mta/queue/listing.hpp>
#include <mta/queue/listing_memory.hpp>

#include "cleanup_server.hpp"
#include "flush_server.hpp"
#include "queue_manager.hpp"
#include "services.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::size_t piece_bytes = 65536;
constexpr std::chrono::seconds client_limit{3600}; // as long as Postfix waits for a reader (ipc_timeout)

// One listing in progress.
class counted {
public:
    explicit counted(int& total) : total_(total) { ++total_; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --total_; }

private:
    int& total_;
};

// The next piece of a listing in the showq protocol; empty at its end. Runs on a pool thread.
result<std::string> next_piece(queue::queue_listing& listing, queue::listing_memory& memory) {
    std::string out;
    out.reserve(piece_bytes + piece_bytes / 8);
    while (out.size() < piece_bytes) {
        auto more = listing.append_next(out, memory);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            break;
    }
    return out;
}

// public/showq: one listing a connection. A reader that takes its time costs a piece of memory and no thread.
boost::asio::awaitable<void> serve_showq(worker& owner, net::stream peer, std::shared_ptr<int> running,
                                         int limit, std::shared_ptr<queue::listing_memory> memory) {
    if (limit > 0 && *running >= limit)
        co_return;
    const counted one_more(*running);
    const auto busy = owner.busy();
    queue::listing_options options;
    options.empty_address = owner.cfg().text("empty_address_recipient");
    options.duplicate_limit = static_cast<std::size_t>(owner.cfg()[param::duplicate_filter_limit]);
    const auto listing = std::make_shared<queue::queue_listing>(owner.spool(), std::move(options));
    std::string piece = queue::showq_greeting();
    while (!piece.empty()) {
        auto sent = co_await peer.write(piece, client_limit);
        if (!sent)
            co_return;
        auto job = [listing, memory] { return next_piece(*listing, *memory); };
        auto made = co_await owner.local_ipc().run(std::move(job));
        if (!made) {
            owner.log().warning("showq: " + made.error().text());
            co_return; // the reader sees that the end is missing
        }
        piece = std::move(*made);
    }
    const std::string end = queue::showq_end();
    (void)co_await peer.write(end, client_limit);
}

// Lines of master.cf that the queue worker serves only so that clients of the reference find the names.
void close_unserved(endpoint& where) {
    where.listeners.clear();
}

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
            const auto running = std::make_shared<int>(0);
            const auto memory = std::make_shared<queue::listing_memory>();
            serve_connections(owner, one, [&owner, running, limit = one.process_limit, memory](net::stream peer) {
                return serve_showq(owner, std::move(peer), running, limit, memory);
            });
        } else if (one.program == "flush") {
            auto flush = flush_server::open(owner, one.cfg, [](std::string_view requests) { manager->trigger(requests); });
            if (!flush)
                return tl::make_unexpected(flush.error());
            (*flush)->serve(one);
            manager->on_deferred = [flush = *flush](const std::string& id, std::span<const queue::log_entry> why) {
                flush->deferred(id, why);
            };
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
