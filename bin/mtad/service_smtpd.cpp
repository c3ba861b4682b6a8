#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <mta/config/networks.hpp>
#include <mta/config/receive_overrides.hpp>

#include "service_smtpd.hpp"
#include "services.hpp"
#include "smtpd_session.hpp"

namespace mta::daemon {

using boost::asio::awaitable;
using std::chrono::steady_clock;

namespace {

constexpr net::milliseconds short_wait{1000};

} // namespace

struct smtpd_endpoint::listener {
    listener(boost::asio::io_context& io, unique_fd fd) : socket(io, fd.release()), room(io) {}
    boost::asio::posix::stream_descriptor socket;
    net::event room; // a session has ended
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
    const std::vector<smtpd_session*> all(sessions_.begin(), sessions_.end());
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
    const auto overrides = config::receive_overrides::read(cfg);
    if (!overrides)
        return tl::make_unexpected(overrides.error());
    auto world = policy::open_world(cfg);
    if (!world)
        return tl::make_unexpected(world.error());
    auto sites = rewrite::flush_sites::open(cfg);
    if (!sites)
        return tl::make_unexpected(sites.error());
    auto out =
        std::shared_ptr<smtpd_endpoint>(new smtpd_endpoint(shared, std::move(where), std::move(*rules)));
    const auto& own = out->where_.cfg;
    out->world_ = std::move(*world);
    out->flush_sites_ = std::make_shared<rewrite::flush_sites>(std::move(*sites));
    out->settings_ = std::move(*settings);
    out->stress_settings_ = std::move(*stressed);
    out->connection_limit_ = own[param::smtpd_client_connection_count_limit];
    out->minimum_free_ = own[param::queue_minfree];
    out->address_mappings_ = overrides->address_mappings;
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
