#include <algorithm>
#include <chrono>

#include <mta/delivery/status_line.hpp>

#include "smtp_conversation.hpp"

namespace mta::daemon {

using net::awaitable;
using net::milliseconds;
using smtp::client_need;
using smtp::client_time;

namespace {

// One write: small messages leave in one piece, large ones in few.
constexpr std::size_t content_chunk = std::size_t{64} << 10;
constexpr int most_waits = 10; // for one reply, each as long as its time limit allows

} // namespace

milliseconds smtp_conversation::limit_of(client_time stage) const {
    switch (stage) {
    case client_time::greeting:
    case client_time::helo:
        return settings_.helo;
    case client_time::mail:
        return settings_.mail;
    case client_time::rcpt:
        return settings_.rcpt;
    case client_time::data_init:
        return settings_.data_init;
    case client_time::data_transfer:
        return settings_.data_transfer;
    case client_time::data_done:
        return settings_.data_done;
    case client_time::rset:
        return settings_.rset;
    case client_time::quit:
        break;
    }
    return settings_.quit;
}

// Moves bytes between the session and the socket until the transaction is over, one way or the other.
awaitable<void> smtp_conversation::run(smtp_connection& connection) {
    auto& session = *connection.session;
    content_sent_ = false;
    ++connection.uses;
    for (;;) {
        if (session.has_output()) {
            const std::string out = session.take_output();
            if (session.wants() == client_need::closed) {
                (void)connection.stream.try_write(out);
                break;
            }
            const auto written = co_await connection.stream.write(out, limit_of(session.time_stage()));
            if (!written) {
                written.error().code == errc::timeout ? session.on_timeout() : session.on_lost();
                break;
            }
        }
        if (times_.connected.tv_sec == 0 && session.established())
            times_.connected = delivery::now_timeval();
        const auto need = session.wants();
        if (need == client_need::content) {
            co_await send_content(connection);
        } else if (need == client_need::reply) {
            const milliseconds limit = limit_of(session.time_stage());
            const bool alive = co_await read_reply(connection, limit);
            if (!alive)
                break;
        } else if (!session.has_output()) {
            break;
        }
    }
    for (const auto& line : session.take_warnings())
        log_.warning(line);
}

// Reads until one more reply is whole. limit is for each read, and all of them together have a bound too: a server
// that says a byte now and then would hold the delivery for ever otherwise.
awaitable<bool> smtp_conversation::read_reply(smtp_connection& connection, milliseconds limit) {
    using clock = std::chrono::steady_clock;
    auto& session = *connection.session;
    const auto deadline = clock::now() + (settings_.limit_whole_reply ? limit : most_waits * limit);
    const auto before = session.replies();
    char chunk[4096];
    do {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now());
        const auto wait = std::clamp(left, milliseconds(1), std::max(limit, milliseconds(1)));
        const auto got = co_await connection.stream.read_some(chunk, sizeof chunk, wait);
        if (!got) {
            got.error().code == errc::timeout ? session.on_timeout() : session.on_lost();
            co_return false;
        }
        session.on_bytes(std::string_view(chunk, *got));
        if (clock::now() >= deadline && session.replies() == before)
            session.on_timeout();
    } while (session.replies() == before && session.wants() == client_need::reply);
    co_return true;
}

awaitable<void> smtp_conversation::send_content(smtp_connection& connection) {
    auto& session = *connection.session;
    auto& stream = connection.stream;
    const milliseconds limit = settings_.data_transfer;
    smtp::data_encoder encoder(settings_.line_limit);
    std::string out;
    out.reserve(std::min(static_cast<std::size_t>(std::max(request_.message_size, 0LL)) + 1024,
                         content_chunk + 8192));
    std::string trouble;
    if (auto started = file_.start_content(request_.data_offset); !started)
        trouble = started.error().text();
    while (trouble.empty()) {
        std::string_view line;
        bool unterminated = false;
        const auto more = file_.next_line(line, unterminated);
        if (!more) {
            trouble = more.error().text();
            break;
        }
        if (!*more)
            break;
        encoder.line(out, line, unterminated);
        if (out.size() < content_chunk)
            continue;
        stream.send_at_once();
        const auto written = co_await stream.write(out, limit);
        if (!written) {
            written.error().code == errc::timeout ? session.on_timeout() : session.on_lost();
            co_return;
        }
        out.clear();
        // An answer before the end of data is no answer to it.
        if (stream.readable_now()) {
            const bool alive = co_await read_reply(connection, limit);
            if (!alive || session.wants() != client_need::content)
                co_return;
        }
    }
    if (!trouble.empty()) {
        log_.warning(request_.queue_id + ": " + trouble);
        session.on_local_error("4.3.0", "local data error while talking to " + connection.target.name());
        co_return;
    }
    // The last look: once the end of data is sent, whatever is read is the answer to it.
    if (stream.readable_now()) {
        const bool alive = co_await read_reply(connection, limit);
        if (!alive || session.wants() != client_need::content)
            co_return;
    }
    session.content_end(out, encoder);
    content_sent_ = true;
    const auto written = co_await stream.write(out, limit);
    if (!written)
        written.error().code == errc::timeout ? session.on_timeout() : session.on_lost();
}

} // namespace mta::daemon
