// The bytes of one SMTP transaction: between a session, which knows the protocol, and its socket and the queue file.
#pragma once

#include <mta/core/log.hpp>
#include <mta/delivery/delays.hpp>
#include <mta/delivery/request.hpp>
#include <mta/queue/queue_file.hpp>

#include "smtp_cache.hpp"
#include "smtp_settings.hpp"

namespace mta::daemon {

class smtp_conversation {
public:
    // All of these are the delivery's. times.connected is set when a new session is established.
    smtp_conversation(const smtp_settings& settings, const delivery::request& request, queue::queue_file& file,
                      delivery::delay_times& times, const logger& log)
        : settings_(settings), request_(request), file_(file), times_(times), log_(log) {}

    // Goes on until the transaction that the connection's session has begun is over, one way or the other: the session
    // knows how.
    [[nodiscard]] net::awaitable<void> run(smtp_connection& connection);

    // Whether the last transaction came as far as the end of the message.
    [[nodiscard]] bool content_sent() const noexcept { return content_sent_; }

private:
    [[nodiscard]] net::awaitable<void> send_content(smtp_connection& connection);
    [[nodiscard]] net::awaitable<bool> read_reply(smtp_connection& connection, net::milliseconds limit);
    [[nodiscard]] net::milliseconds limit_of(smtp::client_time stage) const;

    const smtp_settings& settings_;
    const delivery::request& request_;
    queue::queue_file& file_;
    delivery::delay_times& times_;
    const logger& log_;
    bool content_sent_ = false;
};

} // namespace mta::daemon
