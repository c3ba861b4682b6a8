#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/delivery/status_line.hpp>
#include <mta/net/connect.hpp>

#include "smtp_delivery.hpp"

namespace mta::daemon {

using net::awaitable;
using smtp::client_verdict;

namespace {

std::string connect_trouble(const error& reason) {
    if (reason.code == errc::timeout)
        return std::generic_category().message(ETIMEDOUT);
    return reason.detail.empty() ? reason.code.message() : reason.text();
}

} // namespace

smtp_delivery::smtp_delivery(worker& owner, smtp_transport& transport, delivery::request request)
    : owner_(owner), transport_(transport), request_(std::move(request)),
      log_(owner.session_log(transport.where)) {
    response_.serial = request_.serial;
    for (std::size_t i = 0; i < request_.recipients.size(); ++i)
        open_.push_back(i);
    times_.arrival = request_.arrival;
    times_.active = request_.active;
    times_.handed = request_.sent;
    times_.connects = true;
}

bool smtp_delivery::open_message() {
    const auto trouble = [this](std::string reason) {
        log_.warning(request_.queue_id + ": " + reason);
        last_ = {false, "4.3.0", std::move(reason), {}, {}};
        return false;
    };
    const auto where = queue::find_directory(request_.queue_name);
    if (!where)
        return trouble("no such queue: " + request_.queue_name);
    auto file = queue::queue_file::open(owner_.spool(), *where, request_.queue_id);
    if (!file)
        return trouble("cannot open the queue file: " + file.error().text());
    file_.emplace(std::move(*file));
    conversation_.emplace(transport_.settings, request_, *file_, times_, log_);
    const auto locked = file_->try_lock(lock_mode::shared);
    if (!locked)
        return trouble("cannot lock the queue file: " + locked.error().text());
    if (!*locked)
        return trouble("the queue file is locked by another process");
    if (request_.stale(delivery::now_timeval()))
        skip_done();
    return true;
}

bool smtp_delivery::begin(const asker& from) {
    opened_ = open_message();
    return !from.gone();
}

void smtp_delivery::skip_done() {
    std::erase_if(open_, [this](std::size_t index) {
        delivery::recipient_result out;
        out.offset = request_.recipients[index].offset;
        out.outcome = delivery::outcome::delivered;
        if (!queue::is_done(file_->fd(), out.offset))
            return false;
        response_.recipients.push_back(std::move(out));
        return true;
    });
}

awaitable<delivery::response> smtp_delivery::run() {
    const auto& settings = transport_.settings;
    const auto& level = settings.tls_level;
    if (!opened_) {
        settle_rest();
        co_return std::move(response_);
    }
    if (!level.empty() && level != "none" && level != "may") {
        last_ = {false, "4.7.5", "TLS is required, but our TLS engine is unavailable", {}, {}};
        settle_rest();
        co_return std::move(response_);
    }
    std::vector<std::string> destinations;
    for (const auto word : split(request_.nexthop, ", \t"))
        destinations.emplace_back(word);
    for (const auto& relay : settings.fallback_relays)
        if (std::find(destinations.begin(), destinations.end(), relay) == destinations.end())
            destinations.push_back(relay);
    for (std::size_t i = 0; i < destinations.size() && !open_.empty(); ++i) {
        std::string nexthop = destinations[i];
        const bool last = i + 1 == destinations.size();
        co_await try_destination(std::move(nexthop), last);
    }
    settle_rest();
    co_return std::move(response_);
}

awaitable<void> smtp_delivery::try_destination(std::string nexthop, bool last_destination) {
    const auto& settings = transport_.settings;
    (void)co_await try_kept(nexthop);
    if (open_.empty())
        co_return;
    auto list = co_await find_targets(*transport_.dns, settings, nexthop);
    if (!list.warning.empty())
        log_.warning(list.warning);
    if (list.targets.empty()) {
        last_ = {list.hard, list.dsn, list.reason, {}, {}};
        co_return;
    }
    for (std::size_t i = 0; i < list.targets.size() && !open_.empty(); ++i) {
        smtp_target target = list.targets[i];
        const bool out_of_sessions = settings.session_limit > 0 && sessions_ + 1 >= settings.session_limit;
        const bool final_server = (last_destination && i + 1 == list.targets.size()) || out_of_sessions;
        co_await try_target(std::move(target), nexthop, list.loop_detection, final_server);
    }
}

awaitable<void> smtp_delivery::try_target(smtp_target target, std::string nexthop, bool loop_detection,
                                          bool final_server) {
    const auto& settings = transport_.settings;
    const auto& bind_to = target.address.is_v6() ? settings.bind6 : settings.bind4;
    std::optional<net::socket_address> from;
    if (bind_to)
        from.emplace(*bind_to, std::uint16_t{0});
    const net::socket_address to(target.address, target.port);
    times_.connected = {};
    auto connected = co_await net::connect(owner_.io(), to, settings.connect, from);
    if (!connected) {
        last_ = {false,
                 "4.4.1",
                 "connect to " + target.name_port() + ": " + connect_trouble(connected.error()),
                 {},
                 {}};
        log_.info(last_.reason);
        co_return;
    }
    ++sessions_;
    smtp_connection connection;
    connection.stream = std::move(*connected);
    connection.opened = std::chrono::steady_clock::now();
    smtp::client_options options;
    options.helo_name = settings.helo_name;
    options.peer = target.name();
    options.port = target.port;
    options.nexthop = nexthop;
    options.never_ehlo = settings.never_ehlo;
    options.soften_greeting = settings.skip_5xx_greeting;
    options.discard = settings.discard_keywords;
    if (loop_detection)
        options.my_hostname = settings.my_hostname;
    connection.session = std::make_unique<smtp::client_session>(std::move(options));
    connection.target = std::move(target);
    auto work = transaction();
    work.last = !wants_reuse(nexthop);
    connection.session->begin(std::move(work));
    co_await conversation_->run(connection);
    collect(connection, final_server);
    keep_or_end(std::move(connection), nexthop);
}

// Uses a kept session if there is one. A session that turns out to be dead before it took anything never
// happened.
awaitable<bool> smtp_delivery::try_kept(std::string nexthop) {
    const auto& settings = transport_.settings;
    auto kept = transport_.cache.take(nexthop, settings.reuse_time, settings.reuse_count_limit);
    if (!kept)
        co_return false;
    times_.connected = delivery::now_timeval();
    auto work = transaction();
    work.last = !wants_reuse(nexthop);
    kept->session->begin(std::move(work));
    co_await conversation_->run(*kept);
    const bool stale = kept->session->failure().failed && !conversation_->content_sent();
    if (!stale)
        collect(*kept, false);
    keep_or_end(std::move(*kept), nexthop);
    co_return !stale;
}

bool smtp_delivery::wants_reuse(const std::string& nexthop) const {
    const auto& settings = transport_.settings;
    if (owner_.stopping())
        return false;
    if (request_.reuse && settings.cache_on_demand)
        return true;
    const auto& always = settings.cached_destinations;
    return std::any_of(always.begin(), always.end(),
                       [&](const std::string& one) { return iequals(one, nexthop); });
}

smtp::client_transaction smtp_delivery::transaction() {
    smtp::client_transaction out;
    out.sender = request_.sender;
    out.encoding = request_.encoding;
    out.size = request_.message_size;
    out.envid = request_.dsn_envid;
    out.ret = request_.dsn_ret;
    out.probe = request_.probe;
    tried_ = open_;
    out.recipients.reserve(tried_.size());
    for (const auto index : tried_) {
        const auto& to = request_.recipients[index];
        out.recipients.push_back({to.address, to.original, to.dsn_original, to.notify});
    }
    return out;
}

// Settles what the conversation decided; what a later server may still take stays open.
void smtp_delivery::collect(smtp_connection& connection, bool final_server) {
    const auto& session = *connection.session;
    times_.done = delivery::now_timeval();
    std::string relay = connection.target.name_port();
    if (connection.uses > 1)
        relay += ", conn_use=" + std::to_string(connection.uses);
    std::vector<std::size_t> still_open;
    std::vector<std::string> told;
    for (std::size_t i = 0; i < tried_.size(); ++i) {
        const auto& result = session.results()[i];
        answered_ = answered_ || (!result.reply.empty() && !session.failure().site);
        const bool settled = result.verdict == client_verdict::sent || result.verdict == client_verdict::hard;
        if (settled || final_server) {
            settle(tried_[i], result, relay, connection.target.host, session.offered().dsn);
            continue;
        }
        still_open.push_back(tried_[i]);
        if (std::find(told.begin(), told.end(), result.reason) == told.end()) {
            told.push_back(result.reason);
            log_.info(request_.queue_id + ": " + result.reason);
        }
        last_ = {false, result.dsn, result.reason, result.reply, connection.target.host};
    }
    if (session.failure().failed && !session.failure().hard && !answered_)
        response_.dead_destination = session.failure().reason;
    open_ = std::move(still_open);
}

void smtp_delivery::keep_or_end(smtp_connection connection, const std::string& nexthop) {
    if (connection.session->reusable()) {
        if (wants_reuse(nexthop)) {
            transport_.cache.put(nexthop, std::move(connection));
            return;
        }
        connection.session->quit();
        (void)connection.stream.try_write(connection.session->take_output());
    }
    connection.stream.close();
}

void smtp_delivery::settle(std::size_t index, const smtp::client_result& result, const std::string& relay,
                           const std::string& mta, bool knows_dsn) {
    const auto& to = request_.recipients[index];
    delivery::recipient_result out;
    out.offset = to.offset;
    out.outcome = result.verdict == client_verdict::sent   ? delivery::outcome::delivered
                  : result.verdict == client_verdict::hard ? delivery::outcome::bounced
                                                           : delivery::outcome::deferred;
    out.dsn = result.dsn;
    out.reason = result.reason;
    if (!result.reply.empty()) {
        out.diag_type = "smtp";
        out.diag_text = result.reply;
    }
    if (!mta.empty()) {
        out.mta_type = "dns";
        out.mta_name = mta;
    }
    if (out.outcome == delivery::outcome::delivered) {
        // A server that knows DSN has taken over the duty to report success.
        out.action = knows_dsn ? "" : "relayed";
    }
    if (out.outcome == delivery::outcome::delivered && !request_.probe) {
        if (auto marked = file_->mark_done(to.offset); !marked)
            log_.warning(request_.queue_id + ": cannot mark recipient <" + to.address +
                         "> as done: " + marked.error().text());
    }
    log_.info(delivery::status_line(request_.queue_id, to.address, to.original, relay,
                                    delivery::format_delays(times_, transport_.settings.delay_decimals),
                                    out.dsn, delivery::status_word(out.outcome, request_.probe), out.reason));
    out.relay = mta.empty() ? std::string() : relay;
    response_.recipients.push_back(std::move(out));
}

// No server is left: the last word holds for all recipients still open.
void smtp_delivery::settle_rest() {
    if (open_.empty())
        return;
    if (last_.reason.empty())
        last_ = {false, "4.3.0", "no server to try for " + request_.nexthop, {}, {}};
    times_.done = delivery::now_timeval();
    times_.connected = {};
    smtp::client_result result;
    result.verdict = last_.hard ? client_verdict::hard : client_verdict::soft;
    result.dsn = last_.dsn;
    result.reason = last_.reason;
    result.reply = last_.reply;
    for (const auto index : open_)
        settle(index, result, "none", last_.host, false);
    if (!last_.hard && !answered_ && file_)
        response_.dead_destination = last_.reason;
    open_.clear();
}

} // namespace mta::daemon
