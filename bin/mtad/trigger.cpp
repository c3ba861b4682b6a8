#include <mta/net/connect.hpp>

#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::chrono::seconds trigger_limit{5};
constexpr std::size_t most_bytes = 64;

boost::asio::awaitable<void> read_trigger(net::stream peer, std::function<void(std::string_view)> action) {
    std::string bytes(most_bytes, '\0');
    std::size_t used = 0;
    // The client writes once; whoever dribbles or stays silent is cut off.
    auto got = co_await peer.read_some(bytes.data(), bytes.size(), trigger_limit);
    if (got)
        used = *got;
    peer.close();
    if (used > 0)
        action(std::string_view(bytes).substr(0, used));
}

boost::asio::awaitable<void> accept_loop(worker& owner, std::shared_ptr<net::acceptor> listener,
                                         std::function<boost::asio::awaitable<void>(net::stream)> session) {
    for (;;) {
        auto peer = co_await listener->accept();
        if (!peer)
            co_return;
        owner.spawn(session(std::move(*peer)));
    }
}

} // namespace

void serve_connections(worker& owner, endpoint& where,
                       std::function<boost::asio::awaitable<void>(net::stream)> session) {
    for (auto& fd : where.listeners) {
        auto listener = std::make_shared<net::acceptor>(owner.io(), std::move(fd));
        listener->on_shortage = [log = owner.log()](const std::string& reason) { log.warning("accept: " + reason); };
        owner.on_stop([listener] { listener->close(); });
        owner.spawn(accept_loop(owner, std::move(listener), session));
    }
    where.listeners.clear();
}

void serve_triggers(worker& owner, endpoint& where, std::function<void(std::string_view)> action) {
    serve_connections(owner, where, [action = std::move(action)](net::stream peer) {
        return read_trigger(std::move(peer), action);
    });
}

} // namespace mta::daemon
