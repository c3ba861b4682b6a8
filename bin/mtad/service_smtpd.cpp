#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <mta/config/networks.hpp>
#include <mta/core/text.hpp>

#include "service_smtpd.hpp"
#include "services.hpp"

namespace mta::daemon {

using boost::asio::awaitable;
using smtp::check_stage;
using std::chrono::steady_clock;
using step = smtp::server_session::step;

namespace {

constexpr std::size_t name_cache_size = 2000;
constexpr std::chrono::seconds name_cache_time{10};
constexpr net::milliseconds short_wait{1000};
constexpr const char* write_trouble = "451 4.3.0 Error: queue file write error";

// The client's name: what its address points to, when that name points back (smtpd_peername_lookup).
awaitable<smtpd_shared::client_name> look_up_client(std::shared_ptr<smtpd_shared> shared,
                                                    net::ip_address address) {
    smtpd_shared::client_name out;
    auto pointers = co_await shared->resolver.reverse(address);
    if (!pointers) {
        out.trouble = true;
        co_return out;
    }
    if (pointers->names.empty())
        co_return out;
    std::string name = pointers->names.front();
    if (name.ends_with('.'))
        name.pop_back();
    if (!smtp::valid_hostname(name)) {
        out.remark = "hostname of address " + address.text() + " is malformed";
        co_return out;
    }
    out.reverse = name;
    auto forward = co_await shared->resolver.addresses(name);
    if (!forward) {
        out.trouble = true;
        out.remark =
            "hostname " + name + " does not resolve to address " + address.text() + ": try again later";
        co_return out;
    }
    if (std::ranges::find(forward->addresses, address) == forward->addresses.end()) {
        out.remark = "hostname " + name + " does not resolve to address " + address.text();
        co_return out;
    }
    out.name = name;
    co_return out;
}

awaitable<smtpd_shared::client_name> client_name_of(std::shared_ptr<smtpd_shared> shared,
                                                    net::ip_address address) {
    const std::string key = address.text();
    const auto now = steady_clock::now();
    if (const auto known = shared->names.find(key); known != shared->names.end() && known->second.until > now)
        co_return known->second;
    auto found = co_await look_up_client(shared, address);
    found.until = steady_clock::now() + name_cache_time;
    if (shared->names.size() >= name_cache_size)
        shared->names.clear();
    auto remembered = found;
    remembered.remark.clear();
    shared->names[key] = std::move(remembered);
    co_return found;
}

} // namespace

struct smtpd_endpoint::listener {
    listener(boost::asio::io_context& io, unique_fd fd) : socket(io, fd.release()), room(io) {}
    boost::asio::posix::stream_descriptor socket;
    net::event room; // a session has ended
};

// One session: the pump between the socket, the protocol, the policy and the queue.
struct smtpd_session {
    smtpd_session(std::shared_ptr<smtpd_endpoint> owner, unique_fd socket, bool stress)
        : home(std::move(owner)), shared(home->shared_), busy(shared->owner.busy()),
          stream(shared->owner.io(), std::move(socket)), log(shared->owner.session_log(home->where_)),
          settings(stress ? home->stress_settings_ : home->settings_) {
        ++home->active_;
        home->sessions_[this] = 1;
    }
    smtpd_session(const smtpd_session&) = delete;
    smtpd_session& operator=(const smtpd_session&) = delete;
    ~smtpd_session() {
        home->sessions_.erase(this);
        if (!counted.empty() && --home->clients_[counted] <= 0)
            home->clients_.erase(counted);
        const bool was_full = home->full();
        --home->active_;
        if (was_full)
            home->tell_room();
    }

    std::shared_ptr<smtpd_endpoint> home;
    std::shared_ptr<smtpd_shared> shared;
    worker::busy_guard busy;
    net::stream stream;
    logger log;
    const smtp::server_settings& settings;
    std::string counted; // the address under which this session counts
    net::socket_address remote, here;
    policy::client_facts facts;
    bool local_rewrite = false;
    std::shared_ptr<intake::intake_message> message;
    smtp::server_session* protocol = nullptr; // while it runs
    bool reading = false;

    void stop() {
        if (protocol == nullptr) {
            stream.cancel(); // no greeting yet
            return;
        }
        protocol->shut_down();
        if (reading && protocol->idle())
            stream.cancel();
    }

    void write_logs(smtp::server_session& session) const {
        for (const auto& line : session.take_log())
            log.log(line.level, line.text);
    }

    // Counts the client; a reply when it has too many sessions.
    std::string count_client(const smtp::server_peer& peer) {
        counted = peer.address;
        const int now = ++home->clients_[counted];
        if (home->connection_limit_ <= 0 || now <= home->connection_limit_)
            return {};
        if (const auto own = home->world_->in_mynetworks(peer.name, peer.address); own && *own)
            return {};
        log.warning("Connection concurrency limit exceeded: " + std::to_string(now) + " from " + peer.text() +
                    " for service " + home->where_.service);
        return "421 4.7.0 " + settings.hostname + " Error: too many connections from " + peer.address;
    }

    awaitable<smtp::server_peer> identify() {
        smtp::server_peer peer;
        remote = stream.peer();
        here = stream.local();
        const auto address = remote.address();
        if (!address) {
            // A client on a unix socket is this host.
            peer.name = "localhost";
            peer.address = "127.0.0.1";
            facts.reverse_name = peer.name;
            co_return peer;
        }
        peer.address = address->text();
        if (home->peername_lookup_) {
            auto found = co_await client_name_of(shared, *address);
            peer.name = found.name;
            facts.reverse_name = found.reverse;
            facts.name_trouble = found.trouble;
            if (!found.remark.empty())
                log.warning(found.remark);
        }
        const auto own = home->world_->in_mynetworks(peer.name, peer.address);
        const bool inside = own && *own;
        peer.bare_newline_excluded = home->newline_exclusions_ && inside;
        local_rewrite = (home->local_networks_ && inside) ||
                        (home->local_interfaces_ &&
                         std::ranges::find(home->own_addresses_, peer.address) != home->own_addresses_.end());
        co_return peer;
    }

    smtp::verdict ask(smtp::server_session& session) {
        smtp::verdict answer;
        if (session.stage() == check_stage::mail) {
            if (auto trouble = home->storage_trouble(); !trouble.empty()) {
                log.warning(trouble);
                answer.reply = "452 4.3.1 Insufficient system storage";
                log.info("NOQUEUE: reject: MAIL from " + session.peer().text() + ": " + answer.reply + ";" +
                         session.log_context(false));
                return answer;
            }
        }
        facts.pipelined = session.pipelined();
        auto decision = home->policy_.check(session, facts, *home->world_);
        for (const auto& line : decision.warnings)
            log.warning(line);
        for (const auto& line : decision.logs)
            log.info(line);
        answer.reply = std::move(decision.reply);
        return answer;
    }

    [[nodiscard]] intake::intake_request describe(const smtp::server_session& session) const {
        intake::intake_request request;
        const auto& mail = session.transaction();
        request.origin = intake::origin::smtp;
        request.context = local_rewrite ? intake::rewrite_context::local : intake::rewrite_context::remote;
        request.sender = mail.sender;
        request.encoding = mail.body;
        request.dsn_envelope_id = mail.dsn_envid;
        request.dsn_ret = static_cast<int>(mail.dsn_ret);
        auto& client = request.client;
        client.name = session.peer().name;
        client.reverse_name = facts.reverse_name;
        client.address = session.peer().address;
        client.port = remote.is_inet() ? std::to_string(remote.port()) : "unknown";
        client.helo = session.helo();
        client.protocol = std::string(session.protocol());
        client.server_address = here.is_inet() ? here.host() : "127.0.0.1";
        client.server_port = std::to_string(here.port());
        client.address_type = client.address.find(':') != std::string::npos ? AF_INET6 : AF_INET;
        return request;
    }

    // Opens the queue file at the first recipient, and adds to it.
    smtp::verdict add_recipient(smtp::server_session& session) {
        smtp::verdict answer;
        if (!message) {
            shared->context.use_log(log.with_tag(shared->cleanup_tag));
            auto begun = intake::intake_message::begin(shared->context, describe(session));
            if (!begun) {
                log.warning("cannot create a queue file: " + begun.error().text());
                answer.reply = write_trouble;
                return answer;
            }
            message = std::make_shared<intake::intake_message>(std::move(*begun));
            session.set_queue_id(message->queue_id());
            log.info(message->queue_id() + ": client=" + session.peer().text());
        }
        const auto& given = session.recipient();
        intake::intake_recipient to;
        to.address = given.address;
        to.dsn_original = given.dsn_orig_rcpt;
        to.notify = static_cast<int>(given.notify);
        if (auto added = message->recipient(to); !added) {
            log.warning(message->queue_id() + ": " + added.error().text());
            answer.reply = write_trouble;
        }
        return answer;
    }

    // Completes the message; 250 only after the flush.
    awaitable<smtp::verdict> commit() {
        smtp::verdict answer;
        const auto whole = std::exchange(message, nullptr);
        if (!whole) {
            answer.reply = write_trouble;
            co_return answer;
        }
        const std::string id = whole->queue_id();
        auto judged = whole->finish();
        if (!judged) {
            log.warning(id + ": " + judged.error().text());
            answer.reply = write_trouble;
            co_return answer;
        }
        if (!judged->accepted()) {
            answer.reply = std::to_string(judged->smtp_code) + " " + judged->dsn + " " + judged->text;
            co_return answer;
        }
        auto flush = [whole]() -> result<void> { return whole->sync(); };
        auto flushed = co_await shared->owner.disk().run(std::move(flush));
        if (!flushed) {
            log.warning(id + ": " + flushed.error().text());
            answer.reply = write_trouble;
            co_return answer;
        }
        shared->owner.notify_queue(id);
        answer.reply = "250 2.0.0 Ok: queued as " + id;
        co_return answer;
    }

    // Writes what is due and waits for more; tells the protocol what came.
    awaitable<void> read(smtp::server_session& session) {
        auto& out = session.output();
        if (!out.empty()) {
            auto sent = co_await stream.write(out, settings.timeout);
            out.clear();
            if (!sent) {
                sent.error().code == errc::timeout ? session.timed_out() : session.connection_lost();
                co_return;
            }
        }
        if (shared->owner.ending() && session.idle()) {
            session.shut_down();
            co_return;
        }
        const auto buffer = session.read_buffer();
        reading = true;
        auto got = co_await stream.read_some(buffer.data(), buffer.size(), settings.timeout);
        reading = false;
        if (got)
            session.received(*got);
        else if (got.error().code == errc::timeout)
            session.timed_out();
        else if (!shared->owner.ending())
            session.connection_lost();
        else if (!session.idle())
            session.connection_lost();
        // Else the stop woke it: next() says 421.
    }

    awaitable<void> talk(smtp::server_session& session) {
        for (;;) {
            const step what = session.next();
            write_logs(session);
            switch (what) {
            case step::read:
                co_await read(session);
                break;
            case step::pause:
                (void)co_await net::sleep_for(settings.error_sleep);
                break;
            case step::check:
                session.answer(ask(session));
                break;
            case step::recipient:
                session.answer(add_recipient(session));
                break;
            case step::line:
                if (auto queued = message->content_line(session.line(), session.unterminated()); !queued) {
                    log.warning(message->queue_id() + ": " + queued.error().text());
                    session.refuse_content(write_trouble);
                }
                break;
            case step::commit: {
                auto answer = co_await commit();
                session.answer(std::move(answer));
                break;
            }
            case step::discard:
                message.reset();
                break;
            case step::close:
                co_return;
            }
        }
    }

    // What is said when the stream may already be cancelled (a stop), and is not waited for.
    void last_words(std::string_view text) const noexcept {
        if (stream.is_open() && !text.empty())
            (void)::send(stream.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    awaitable<void> run() {
        smtp::server_peer peer = co_await identify();
        log.info("connect from " + peer.text());
        const std::string too_many = count_client(peer);
        smtp::server_session session(settings, peer);
        if (!too_many.empty()) {
            last_words(too_many + "\r\n");
        } else {
            protocol = &session;
            bool early = false;
            if (stream.is_open() && stream.readable_now()) {
                const auto buffer = session.read_buffer();
                auto got = co_await stream.read_some(buffer.data(), buffer.size(), short_wait);
                got ? session.received(*got) : session.connection_lost();
                early = got.has_value();
            }
            if (session.ending().empty())
                session.start(early);
            co_await talk(session);
            protocol = nullptr;
        }
        last_words(session.output());
        if (const auto ending = session.ending(); !ending.empty())
            log.info(ending);
        log.info("disconnect from " + peer.text() + " " + session.counters());
        stream.close();
    }
};

namespace {

awaitable<void> run_session(std::unique_ptr<smtpd_session> session) {
    co_await session->run();
}

} // namespace

awaitable<void> smtpd_endpoint::accept_loop(std::shared_ptr<listener> from) {
    const auto self = shared_from_this();
    while (!shared_->owner.stopping()) {
        if (full()) {
            // The kernel's backlog keeps further clients waiting.
            (void)co_await from->room.wait(short_wait);
            continue;
        }
        unique_fd socket(
            ::accept4(from->socket.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket) {
            // Replies are whole when they are written: waiting for more would only delay them.
            const int on = 1;
            (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            auto session = std::make_unique<smtpd_session>(
                self, std::move(socket), where_.process_limit > 0 && active_ + 1 >= where_.process_limit);
            auto running = run_session(std::move(session));
            shared_->owner.spawn(std::move(running));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            const auto trouble = fail_errno("accept connection");
            logger(shared_->owner.log().sink(), where_.tag).warning(trouble.value().text());
            (void)co_await net::sleep_for(short_wait);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            co_return;
        auto [code] = co_await from->socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                                       net::as_result);
        if (code)
            co_return;
    }
}

// Looked at once a second: whether the queue has room for a message (queue_minfree, message_size_limit).
std::string smtpd_endpoint::storage_trouble() {
    const auto now = steady_clock::now();
    if (now - storage_checked_ < std::chrono::seconds(1))
        return storage_trouble_;
    storage_checked_ = now;
    storage_trouble_.clear();
    struct statvfs space {};
    if (::statvfs(".", &space) != 0)
        return storage_trouble_;
    const auto free = static_cast<unsigned long long>(space.f_bavail) * space.f_frsize;
    const auto need = [](long long bytes) { return static_cast<unsigned long long>(std::max(bytes, 0LL)); };
    if (free < need(minimum_free_))
        storage_trouble_ =
            "not enough free space in mail queue: " + std::to_string(free) + " bytes < queue_minfree";
    else if (free / 3 * 2 < need(settings_.message_size_limit))
        storage_trouble_ = "not enough free space in mail queue: " + std::to_string(free) +
                           " bytes < 1.5*message size limit";
    return storage_trouble_;
}

void smtpd_endpoint::tell_room() {
    for (const auto& one : listeners_)
        one->room.notify();
}

void smtpd_endpoint::stop() {
    for (const auto& one : listeners_) {
        boost::system::error_code ignored;
        one->socket.close(ignored);
    }
    tell_room();
}

void smtpd_endpoint::end_sessions() {
    // A session that ends takes itself out of the list.
    std::vector<smtpd_session*> all;
    for (const auto& [session, unused] : sessions_)
        all.push_back(session);
    for (auto* session : all)
        if (sessions_.contains(session))
            session->stop();
}

result<std::shared_ptr<smtpd_endpoint>> smtpd_endpoint::open(std::shared_ptr<smtpd_shared> shared,
                                                             endpoint where) {
    const auto& cfg = where.cfg;
    auto settings = smtp::load_server_settings(cfg);
    if (!settings)
        return tl::make_unexpected(settings.error());
    auto stressed = smtp::load_server_settings(cfg.with_overrides({{"stress", "yes"}}));
    if (!stressed)
        return tl::make_unexpected(stressed.error());
    auto rules = policy::access_policy::open(cfg);
    if (!rules)
        return tl::make_unexpected(rules.error());
    auto world = policy::open_world(cfg);
    if (!world)
        return tl::make_unexpected(world.error());
    auto out =
        std::shared_ptr<smtpd_endpoint>(new smtpd_endpoint(shared, std::move(where), std::move(*rules)));
    const auto& own = out->where_.cfg;
    out->world_ = std::move(*world);
    out->settings_ = std::move(*settings);
    out->stress_settings_ = std::move(*stressed);
    out->connection_limit_ = own[param::smtpd_client_connection_count_limit];
    out->minimum_free_ = own[param::queue_minfree];
    out->peername_lookup_ = own[param::smtpd_peername_lookup];
    // Without a word in main.cf nobody may end a message by bare line feeds, not even a neighbour.
    out->newline_exclusions_ = own.is_set("smtpd_forbid_bare_newline_exclusions");
    for (const auto& word : own[param::local_header_rewrite_clients]) {
        if (word == "permit_inet_interfaces")
            out->local_interfaces_ = true;
        else if (word == "permit_mynetworks")
            out->local_networks_ = true;
        else if (word != "permit_sasl_authenticated" && word != "permit_tls_clientcerts" &&
                 word != "permit_tls_all_clientcerts")
            return fail(errc::unsupported,
                        "parameter local_header_rewrite_clients: unsupported entry: " + word);
    }
    if (auto addresses = config::interface_addresses({"all"}))
        for (auto& one : *addresses)
            out->own_addresses_.push_back(std::move(one.address));
    for (auto& fd : out->where_.listeners)
        out->listeners_.push_back(std::make_shared<listener>(shared->owner.io(), std::move(fd)));
    out->where_.listeners.clear();
    return out;
}

void smtpd_endpoint::start() {
    const auto self = shared_from_this();
    shared_->owner.on_stop([self] { self->stop(); });
    shared_->owner.on_end([self] { self->end_sessions(); });
    for (const auto& one : listeners_)
        shared_->owner.spawn(accept_loop(one));
}

result<void> start_smtpd(worker& owner, std::vector<endpoint> endpoints) {
    if (endpoints.empty())
        return {};
    const std::string tag = owner.cfg().text("syslog_name") + "/cleanup";
    auto context = intake::intake_context::open(owner.cfg(), owner.spool(), owner.log().with_tag(tag));
    if (!context)
        return tl::make_unexpected(context.error());
    net::resolver_options options;
    auto servers = net::parse_dns_servers(owner.cfg().text("mtad_dns_servers"));
    if (!servers)
        return tl::make_unexpected(servers.error());
    options.servers = std::move(*servers);
    auto shared = std::make_shared<smtpd_shared>(owner, std::move(*context),
                                                 net::resolver(owner.io(), std::move(options)));
    shared->cleanup_tag = tag;
    for (auto& one : endpoints) {
        auto opened = smtpd_endpoint::open(shared, std::move(one));
        if (!opened)
            return tl::make_unexpected(opened.error());
        (*opened)->start();
    }
    return {};
}

} // namespace mta::daemon
