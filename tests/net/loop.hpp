// Runs one coroutine to its end on a loop of its own.
#pragma once

#include <catch2/catch.hpp>

#include <mta/net/asio.hpp>

namespace mta::net {

// Afterwards what is ready still runs; idle timers of open streams are not waited for.
inline void run_to_end(boost::asio::io_context& io, awaitable<void> test) {
    std::string trouble = "never ended";
    bool ended = false;
    spawn(io, std::move(test), [&](std::string text) {
        trouble = std::move(text);
        ended = true;
    });
    while (!ended && io.run_one() > 0) {
    }
    io.poll();
    CHECK(trouble.empty());
}

} // namespace mta::net
