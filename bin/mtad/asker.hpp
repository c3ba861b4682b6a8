// The queue worker that asked for a delivery, as seen from the threads that deliver.
//
// A queue worker hangs up before it lets go of the queue. So whoever holds the lock of a message's file and then finds
// that the asker is still there knows that no successor has that message in hand; and whoever finds it gone leaves the
// message to the successor, which either waits for the lock or has asked somebody already.
#pragma once

#include <poll.h>

#include <mta/net/channel.hpp>

namespace mta::daemon {

class asker {
public:
    explicit asker(const net::channel& from) : socket_(from.duplicate()) {}

    // Once true it stays true. Safe on any thread.
    [[nodiscard]] bool gone() const noexcept {
        pollfd one{socket_.get(), POLLRDHUP, 0};
        return !socket_ || (::poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
    }

private:
    unique_fd socket_;
};

} // namespace mta::daemon
