#include <sys/prctl.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>

#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/table/live_table.hpp>

#include "configuration_at_hand.hpp"
#include "control.hpp"
#include "worker.hpp"

namespace mta::daemon {
namespace {

// fsyncs of separate files merge in the kernel's journal only when they overlap.
constexpr std::size_t disk_threads = 16;
constexpr std::size_t disk_queue = 20000;
// Some tables may be slow at once; each holds live_table_handles threads for long, and no more.
constexpr std::size_t table_threads = 4 * table::live_table_handles;
constexpr std::size_t table_queue = 2000;
constexpr std::size_t ipc_threads = 8;
constexpr std::size_t ipc_queue = 1000;

} // namespace

struct worker::impl {
    explicit impl(boost::asio::io_context& io) : control(io), stop_timer(io) {}

    boost::asio::posix::stream_descriptor control;
    boost::asio::steady_timer stop_timer;
    std::map<std::string, std::shared_ptr<net::channel>> peers;
    std::map<std::string, std::function<void(std::shared_ptr<net::channel>)>> peer_actions;
    std::optional<unique_fd> spawner;
    std::function<void(unique_fd)> spawner_action;
    bool started = false;
};

worker::worker(boost::asio::io_context& io, std::string role, config::configuration cfg, logger log)
    : io_(io), role_(std::move(role)), cfg_(std::move(cfg)), log_(std::move(log)),
      disk_(std::make_unique<net::pool>(io, disk_threads, disk_queue)),
      tables_(std::make_unique<net::pool>(io, table_threads, table_queue)),
      notices_(std::make_unique<net::pool>(io, std::size_t{1}, disk_queue)),
      local_ipc_(std::make_unique<net::pool>(io, ipc_threads, ipc_queue)), impl_(std::make_unique<impl>(io)) {}

worker::~worker() = default;

unsigned long worker::next_number() noexcept {
    // Slots are unique among live workers, so are the numbers made from them.
    counter_ = (counter_ + 1) % (1UL << 24U);
    return (counter_ + 16) * slot_count + slot_;
}

void worker::spawn(boost::asio::awaitable<void> session) {
    net::spawn(io_, std::move(session), [this](const std::string& trouble) {
        if (!trouble.empty())
            log_.panic("session ended by an exception: " + trouble);
    });
}

void worker::release() {
    --busy_;
    if (stopping_)
        finish_if_idle();
}

void worker::finish_if_idle() {
    if (busy_ == 0)
        boost::asio::post(io_, [this] { io_.stop(); });
}

void worker::notify_queue(const std::string& id) {
    if (const auto queue = peer("queue"))
        queue->send(attr_writer().put("type", "new").put("queue_id", id).finish());
}

std::shared_ptr<net::channel> worker::peer(const std::string& role) const {
    const auto it = impl_->peers.find(role);
    return it == impl_->peers.end() || !it->second->is_open() ? nullptr : it->second;
}

void worker::on_peer(const std::string& role, std::function<void(std::shared_ptr<net::channel>)> action) {
    if (const auto present = peer(role))
        action(present);
    impl_->peer_actions[role] = std::move(action);
}

std::optional<unique_fd> worker::take_spawner() { return std::exchange(impl_->spawner, std::nullopt); }

void worker::on_spawner(std::function<void(unique_fd)> action) { impl_->spawner_action = std::move(action); }

void worker::request_successor(const std::string& why) {
    const auto message = attr_writer().put("type", "successor").put("reason", why).finish();
    (void)send_with_fds(impl_->control.native_handle(), message, {});
}

void worker::add_peer(const std::string& role, unique_fd fd) {
    auto channel = std::make_shared<net::channel>(io_, std::move(fd));
    impl_->peers[role] = channel;
    // What was told to a queue worker that is gone is told to nobody.
    if (role_ == "receive" && role == "queue")
        channel->send(attr_writer().put("type", "scan").finish());
    const auto action = impl_->peer_actions.find(role);
    if (action != impl_->peer_actions.end())
        action->second(channel);
}

namespace {

// The supervisor has found its settings valid.
endpoint read_endpoint(const attr_list& list, const config::configuration& base, std::vector<unique_fd> fds) {
    config::overrides overrides;
    for (const auto& [name, value] : list.pairs())
        if (name.starts_with("override:"))
            overrides.emplace_back(name.substr(9), value);
    endpoint out;
    out.service = list.get("service");
    out.type = list.get("service_type");
    out.program = list.get("program");
    out.wakeup = static_cast<int>(list.number("wakeup"));
    out.cfg = with_settings(base, out.service, overrides);
    out.tag = out.cfg.text("syslog_name") + "/" + out.program;
    const auto limit = list.number("process_limit", -1);
    out.process_limit = static_cast<int>(limit >= 0 ? limit : out.cfg[param::default_process_limit]);
    out.listeners = std::move(fds);
    return out;
}

} // namespace

result<worker::setup> worker::receive_setup(int control) {
    setup out;
    for (;;) {
        auto message = receive_with_fds(control);
        if (!message)
            return tl::make_unexpected(message.error());
        if (message->bytes.empty())
            return fail(errc::closed, "the supervisor went away");
        auto list = attr_list::parse(message->bytes);
        if (!list)
            return tl::make_unexpected(list.error());
        const auto type = list->get("type");
        if (type == "identity") {
            slot_ = static_cast<unsigned long>(list->number("slot"));
            privileged_ = list->number("privileged") != 0;
        } else if (type == "endpoint") {
            out.endpoints.push_back(read_endpoint(*list, cfg_, std::move(message->fds)));
        } else if (type == "peer" && !message->fds.empty()) {
            add_peer(std::string(list->get("role")), std::move(message->fds.front()));
        } else if (type == "spawner" && !message->fds.empty()) {
            impl_->spawner = std::move(message->fds.front());
        } else if (type == "start") {
            break;
        } else if (type == "stop" || type == "drain") {
            return fail(errc::closed, "told to stop before the start");
        }
    }
    impl_->control.assign(control);
    auto spool = queue::spool::open([&] {
        auto options = queue::spool_options_from(cfg_);
        options.root = ".";
        return options;
    }());
    if (!spool)
        return tl::make_unexpected(spool.error());
    spool_ = std::make_unique<queue::spool>(std::move(*spool));
    if (!privileged_) {
        mail_owner_.uid = ::geteuid();
        mail_owner_.gid = ::getegid();
        return out;
    }
    auto owner = find_user(cfg_.text("mail_owner"));
    if (!owner)
        return tl::make_unexpected(owner.error());
    if (!*owner)
        return fail(errc::malformed, "unknown mail_owner " + cfg_.text("mail_owner"));
    mail_owner_ = **owner;
    return out;
}

result<void> worker::drop() {
    if (privileged_)
        if (auto dropped = drop_privileges(mail_owner_.uid, mail_owner_.gid); !dropped)
            return dropped;
    // Commands that users start call the set-gid sendmail family: only the deliver worker has such children.
    if (role_ != "deliver" && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno("no_new_privs");
    return {};
}

void worker::control_readable() {
    impl_->control.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code code) {
        if (code)
            return;
        auto message = receive_with_fds(impl_->control.native_handle());
        if (!message || message->bytes.empty()) {
            // The supervisor is gone: whoever replaces it waits until this worker has let go.
            stop();
            return;
        }
        if (auto list = attr_list::parse(message->bytes)) {
            const auto type = list->get("type");
            if (type == "peer" && !message->fds.empty())
                add_peer(std::string(list->get("role")), std::move(message->fds.front()));
            else if (type == "spawner" && !message->fds.empty() && impl_->spawner_action)
                impl_->spawner_action(std::move(message->fds.front()));
            else if (type == "stop")
                stop();
            else if (type == "drain")
                drain();
        }
        control_readable();
    });
}

void worker::drain() {
    if (std::exchange(stopping_, true))
        return;
    for (const auto& action : std::exchange(stop_actions_, {}))
        action();
    finish_if_idle();
}

void worker::stop() {
    if (std::exchange(ending_, true))
        return;
    impl_->stop_timer.expires_after(stop_limit);
    impl_->stop_timer.async_wait([this](boost::system::error_code code) {
        if (!code)
            io_.stop();
    });
    drain();
    for (const auto& action : std::exchange(end_actions_, {}))
        action();
}

void worker::run() {
    (void)send_with_fds(impl_->control.native_handle(), attr_writer().put("type", "ready").finish(), {});
    control_readable();
    io_.run();
}

} // namespace mta::daemon
