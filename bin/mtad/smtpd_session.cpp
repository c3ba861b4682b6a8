#include <sys/socket.h>

#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/queue/flush_request.hpp>

#include "lookups.hpp"
#include "smtpd_session.hpp"

namespace mta::daemon {

using boost::asio::awaitable;
using smtp::check_stage;
using step = smtp::server_session::step;

namespace {

constexpr net::milliseconds short_wait{1000};
constexpr net::milliseconds flush_limit{60000}; // a log of many messages takes its time
constexpr const char* write_trouble = "451 4.3.0 Error: queue file write error";
constexpr const char* lookup_trouble = "451 4.3.0 Temporary lookup failure";

} // namespace

smtpd_session::smtpd_session(std::shared_ptr<smtpd_endpoint> owner, unique_fd socket, bool stress)
    : home_(std::move(owner)), shared_(home_->shared_), busy_(shared_->owner.busy()),
      stream_(shared_->owner.io(), std::move(socket)), log_(shared_->owner.session_log(home_->where_)),
      settings_(stress ? home_->stress_settings_ : home_->settings_) {
    ++home_->active_;
    home_->sessions_.insert(this);
}

smtpd_session::~smtpd_session() {
    home_->sessions_.erase(this);
    if (!counted_.empty() && --home_->clients_[counted_] <= 0)
        home_->clients_.erase(counted_);
    const bool was_full = home_->full();
    --home_->active_;
    if (was_full)
        home_->tell_room();
}

void smtpd_session::stop() {
    if (protocol_ == nullptr) {
        stream_.cancel(); // no greeting yet
        return;
    }
    protocol_->shut_down();
    if (reading_ && protocol_->idle())
        stream_.cancel();
}

void smtpd_session::write_logs(smtp::server_session& session) const {
    for (const auto& line : session.take_log())
        log_.log(line.level, line.text);
}

// Counts the client; a reply when it has too many sessions.
std::string smtpd_session::count_client(const smtp::server_peer& peer) {
    counted_ = peer.address;
    const int now = ++home_->clients_[counted_];
    if (home_->connection_limit_ <= 0 || now <= home_->connection_limit_)
        return {};
    if (inside_)
        return {};
    log_.warning("Connection concurrency limit exceeded: " + std::to_string(now) + " from " + peer.text() +
                 " for service " + home_->where_.service);
    return "421 4.7.0 " + settings_.hostname + " Error: too many connections from " + peer.address;
}

awaitable<smtp::server_peer> smtpd_session::identify() {
    smtp::server_peer peer;
    remote_ = stream_.peer();
    here_ = stream_.local();
    const auto address = remote_.address();
    if (!address) {
        // A client on a unix socket is this host.
        peer.name = "localhost";
        peer.address = "127.0.0.1";
        facts_.reverse_name = peer.name;
        co_return peer;
    }
    peer.address = address->text();
    if (home_->peername_lookup_) {
        auto found = co_await shared_->names.find(*address);
        peer.name = found.name;
        facts_.reverse_name = found.reverse;
        facts_.name_trouble = found.trouble;
        if (!found.remark.empty())
            log_.warning(found.remark);
    }
    auto asked = [this, &peer] {
        std::vector<std::string> unsaid; // nothing is permitted by this
        return home_->world_->in_mynetworks(peer.name, peer.address, unsaid);
    };
    const auto own = co_await look_up(shared_->owner, asked);
    inside_ = own && *own;
    peer.bare_newline_excluded = home_->newline_exclusions_ && inside_;
    local_rewrite_ = (home_->local_networks_ && inside_) ||
                     (home_->local_interfaces_ &&
                      std::ranges::find(home_->own_addresses_, peer.address) != home_->own_addresses_.end());
    co_return peer;
}

awaitable<smtp::verdict> smtpd_session::ask(smtp::server_session& session) {
    smtp::verdict answer;
    if (session.stage() == check_stage::mail) {
        if (auto trouble = home_->storage_trouble(); !trouble.empty()) {
            log_.warning(trouble);
            answer.reply = "452 4.3.1 Insufficient system storage";
            log_.info("NOQUEUE: reject: MAIL from " + session.peer().text() + ": " + answer.reply + ";" +
                      session.log_context(false));
            co_return answer;
        }
    }
    facts_.pipelined = session.pipelined();
    auto judge = [this, &session]() -> result<policy::decision> {
        return home_->policy_.check(session, facts_, *home_->world_);
    };
    auto decision = co_await look_up(shared_->owner, judge);
    if (!decision) {
        log_.warning("lookups for " + session.peer().text() + ": " + decision.error().text());
        answer.reply = lookup_trouble;
        co_return answer;
    }
    for (const auto& line : decision->warnings)
        log_.warning(line);
    for (const auto& line : decision->logs)
        log_.info(line);
    answer.reply = std::move(decision->reply);
    co_return answer;
}

intake::intake_request smtpd_session::describe(const smtp::server_session& session) const {
    intake::intake_request request;
    const auto& mail = session.transaction();
    request.origin = intake::origin::smtp;
    request.context = local_rewrite_ ? intake::rewrite_context::local : intake::rewrite_context::remote;
    request.sender = mail.sender;
    request.encoding = mail.body;
    request.dsn_envelope_id = mail.dsn_envid;
    request.dsn_ret = static_cast<int>(mail.dsn_ret);
    request.map_addresses = request.add_always_bcc = home_->address_mappings_;
    request.content_filter = home_->where_.cfg.text("content_filter");
    auto& client = request.client;
    client.name = session.peer().name;
    client.reverse_name = facts_.reverse_name;
    client.address = session.peer().address;
    client.port = remote_.is_inet() ? std::to_string(remote_.port()) : "unknown";
    client.helo = session.helo();
    client.protocol = std::string(session.protocol());
    client.server_address = here_.is_inet() ? here_.host() : "127.0.0.1";
    client.server_port = std::to_string(here_.port());
    client.address_type = client.address.find(':') != std::string::npos ? AF_INET6 : AF_INET;
    return request;
}

// Opens the queue file at the first recipient, and adds to it.
awaitable<smtp::verdict> smtpd_session::add_recipient(smtp::server_session& session) {
    smtp::verdict answer;
    if (!message_) {
        shared_->context.use_log(log_.with_tag(shared_->cleanup_tag));
        auto file = queue::queue_file_writer::create(shared_->owner.spool(), queue::directory::incoming);
        if (!file) {
            log_.warning("cannot create a queue file: " + file.error().text());
            answer.reply = write_trouble;
            co_return answer;
        }
        const auto message = std::make_shared<intake::intake_message>(
            intake::intake_message::begin_in(shared_->context, std::move(*file)));
        const auto about = describe(session);
        auto begin = [message, &about] { return message->describe(about); };
        const auto begun = co_await look_up(shared_->owner, begin);
        if (!begun) {
            log_.warning(message->queue_id() + ": " + begun.error().text());
            answer.reply = write_trouble;
            co_return answer;
        }
        message_ = message;
        session.set_queue_id(message_->queue_id());
        log_.info(message_->queue_id() + ": client=" + session.peer().text());
    }
    const auto& given = session.recipient();
    intake::intake_recipient to;
    to.address = given.address;
    to.dsn_original = given.dsn_orig_rcpt;
    to.notify = static_cast<int>(given.notify);
    auto add = [message = message_, &to] { return message->recipient(to); };
    const auto added = co_await look_up(shared_->owner, add);
    if (!added) {
        log_.warning(message_->queue_id() + ": " + added.error().text());
        answer.reply = write_trouble;
    }
    co_return answer;
}

// A line of the text; false when a table has to wait for it. Nearly all need none, and should cost no coroutine.
bool smtpd_session::add_line_at_once(smtp::server_session& session) {
    const table::no_waiting on_the_loop;
    const auto queued = message_->content_line(session.line(), session.unterminated());
    if (table::no_waiting::refused())
        return false;
    if (!queued)
        refuse_content(session, queued.error());
    return true;
}

awaitable<void> smtpd_session::add_line(smtp::server_session& session) {
    auto add = [message = message_, &session] {
        return message->content_line(session.line(), session.unterminated());
    };
    const auto queued = co_await look_up(shared_->owner, add);
    if (!queued)
        refuse_content(session, queued.error());
}

void smtpd_session::refuse_content(smtp::server_session& session, const error& why) const {
    log_.warning(message_->queue_id() + ": " + why.text());
    session.refuse_content(write_trouble);
}

// Completes the message; 250 only after the flush.
awaitable<smtp::verdict> smtpd_session::commit() {
    smtp::verdict answer;
    const auto whole = std::exchange(message_, nullptr);
    if (!whole) {
        answer.reply = write_trouble;
        co_return answer;
    }
    const std::string id = whole->queue_id();
    auto finish = [whole] { return whole->finish(); };
    auto judged = co_await look_up(shared_->owner, finish);
    if (!judged) {
        log_.warning(id + ": " + judged.error().text());
        answer.reply = write_trouble;
        co_return answer;
    }
    if (!judged->accepted()) {
        answer.reply = std::to_string(judged->smtp_code) + " " + judged->dsn + " " + judged->text;
        co_return answer;
    }
    auto flush = [whole]() -> result<void> { return whole->sync(); };
    auto flushed = co_await shared_->owner.disk().run(std::move(flush));
    if (!flushed) {
        log_.warning(id + ": " + flushed.error().text());
        answer.reply = write_trouble;
        co_return answer;
    }
    shared_->owner.notify_queue(id);
    answer.reply = "250 2.0.0 Ok: queued as " + id;
    co_return answer;
}

// Asks the flush service for a try of the mail that waits for the site which the client has named.
awaitable<smtp::verdict> smtpd_session::flush(smtp::server_session& session) {
    const std::string site = session.etrn_domain();
    auto asked = [sites = home_->flush_sites_, site] { return sites->has(site); };
    const auto eligible = co_await look_up(shared_->owner, asked);
    auto status = eligible ? result<queue::flush_status>(queue::flush_status::not_eligible)
                           : result<queue::flush_status>(tl::make_unexpected(eligible.error()));
    if (eligible && *eligible) {
        auto job = [request = queue::flush_site_request(site)] {
            return queue::ask_flush_service("public/flush", request, flush_limit);
        };
        status = co_await shared_->owner.local_ipc().run(std::move(job));
        if (!status && status.error().detail.empty())
            status.error().detail = "connect to public/flush";
    }
    smtp::verdict answer;
    if (status && *status == queue::flush_status::done)
        co_return answer;
    if (status && *status == queue::flush_status::not_eligible) {
        log_.warning("reject: ETRN " + printable(site) + "... from " + session.peer().text());
        answer.reply = "459 <" + site + ">: service unavailable";
        co_return answer;
    }
    if (!status)
        log_.warning(status.error().text());
    log_.warning("unable to talk to fast flush service");
    answer.reply = "458 Unable to queue messages";
    co_return answer;
}

// Writes what is due and waits for more; tells the protocol what came.
awaitable<void> smtpd_session::read(smtp::server_session& session) {
    auto& out = session.output();
    if (!out.empty()) {
        auto sent = co_await stream_.write(out, settings_.timeout);
        out.clear();
        if (!sent) {
            sent.error().code == errc::timeout ? session.timed_out() : session.connection_lost();
            co_return;
        }
    }
    if (shared_->owner.ending() && session.idle()) {
        session.shut_down();
        co_return;
    }
    const auto buffer = session.read_buffer();
    reading_ = true;
    auto got = co_await stream_.read_some(buffer.data(), buffer.size(), settings_.timeout);
    reading_ = false;
    if (got)
        session.received(*got);
    else if (got.error().code == errc::timeout)
        session.timed_out();
    else if (!shared_->owner.ending())
        session.connection_lost();
    else if (!session.idle())
        session.connection_lost();
    // Else the stop woke it: next() says 421.
}

awaitable<void> smtpd_session::talk(smtp::server_session& session) {
    for (;;) {
        const step what = session.next();
        write_logs(session);
        switch (what) {
        case step::read:
            co_await read(session);
            break;
        case step::pause:
            (void)co_await net::sleep_for(settings_.error_sleep);
            break;
        case step::check: {
            auto answer = co_await ask(session);
            session.answer(std::move(answer));
            break;
        }
        case step::recipient: {
            auto answer = co_await add_recipient(session);
            session.answer(std::move(answer));
            break;
        }
        case step::line:
            if (!add_line_at_once(session))
                co_await add_line(session);
            break;
        case step::commit: {
            auto answer = co_await commit();
            session.answer(std::move(answer));
            break;
        }
        case step::flush: {
            auto answer = co_await flush(session);
            session.answer(std::move(answer));
            break;
        }
        case step::discard:
            message_.reset();
            break;
        case step::close:
            co_return;
        }
    }
}

// What is said when the stream may already be cancelled (a stop), and is not waited for.
void smtpd_session::last_words(std::string_view text) const noexcept {
    if (stream_.is_open() && !text.empty())
        (void)::send(stream_.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

awaitable<void> smtpd_session::run() {
    smtp::server_peer peer = co_await identify();
    log_.info("connect from " + peer.text());
    const std::string too_many = count_client(peer);
    smtp::server_session session(settings_, peer);
    if (!too_many.empty()) {
        last_words(too_many + "\r\n");
    } else {
        protocol_ = &session;
        bool early = false;
        if (stream_.is_open() && stream_.readable_now()) {
            const auto buffer = session.read_buffer();
            auto got = co_await stream_.read_some(buffer.data(), buffer.size(), short_wait);
            got ? session.received(*got) : session.connection_lost();
            early = got.has_value();
        }
        if (session.ending().empty())
            session.start(early);
        co_await talk(session);
        protocol_ = nullptr;
    }
    last_words(session.output());
    if (const auto ending = session.ending(); !ending.empty())
        log_.info(ending);
    log_.info("disconnect from " + peer.text() + " " + session.counters());
    stream_.close();
}

} // namespace mta::daemon
