// The trigger protocol of public/pickup and public/qmgr: a client connects, writes a few bytes, waits for the close.
#pragma once

#include <functional>
#include <string_view>

#include <mta/net/stream.hpp>

#include "worker.hpp"

namespace mta::daemon {

// Serves the endpoint's listeners: each connection's bytes go to action. Ends when the worker stops.
void serve_triggers(worker& owner, endpoint& where, std::function<void(std::string_view)> action);

// Accepts on every listener of the endpoint; each connection becomes a coroutine.
void serve_connections(worker& owner, endpoint& where,
                       std::function<boost::asio::awaitable<void>(net::stream)> session);

} // namespace mta::daemon
