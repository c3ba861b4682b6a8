// The deliver worker: the local and virtual delivery agents.
//
// A request of the queue worker becomes one job on a bounded pool: open the queue file, lock it, deliver to
// each recipient, mark those that were delivered. Mailboxes are written and users' files read as their
// owners, in helpers that the spawner starts; without root, in this process and for its own user alone.
// Touches: active/ (read, mark), tables, public/cleanup (forwards). Runs as mail_owner.
#include <algorithm>
#include <csignal>
#include <map>
#include <span>

#include <mta/delivery/agents.hpp>
#include <mta/delivery/delays.hpp>
#include <mta/delivery/ports.hpp>
#include <mta/delivery/status_line.hpp>
#include <mta/queue/queue_file.hpp>

#include "asker.hpp"
#include "services.hpp"

namespace mta::daemon {
namespace {

constexpr int most_threads = 200; // of one transport, whatever master.cf says
constexpr std::size_t most_waiting = 5000;
constexpr std::size_t most_parts = 1000; // of a recipient that was expanded: told one by one
constexpr std::chrono::seconds idle_helper{10};

struct transport {
    endpoint where;
    std::unique_ptr<delivery::agent> agent;
    // One thread a delivery, for it may wait for flushes, for locks and for a home on a server that is down. A transport
    // has threads of its own, so that none stands still for another's trouble.
    std::unique_ptr<net::pool> threads;
    int decimals = delivery::default_delay_decimals;
};

// What a job brings back to the loop.
struct delivered {
    delivery::response response;
    std::vector<std::string> warnings;
    std::vector<std::string> lines;
};

// One request, on a pool thread.
class delivery_job {
public:
    delivery_job(const queue::spool& spool, const transport& through, const delivery::request& about,
                 timeval handed)
        : spool_(spool), through_(through), about_(about), handed_(handed) {}

    // errc::closed when who asked has gone.
    result<delivered> run(const asker& from) {
        out_.response.serial = about_.serial;
        const auto which = queue::find_directory(about_.queue_name).value_or(queue::directory::active);
        auto file = queue::queue_file::open(spool_, which, about_.queue_id);
        auto readable = queue::queue_file::open(spool_, which, about_.queue_id, queue::access::read_only);
        if (!file || !readable)
            return defer_all("cannot open queue file: " + (file ? readable.error() : file.error()).text());
        // Held until the marks are made: the queue manager waits for it before it tries again.
        const auto locked = file->try_lock(lock_mode::shared);
        if (!locked || !*locked)
            return defer_all("queue file is locked");
        if (from.gone())
            return fail(errc::closed);
        const bool stale = about_.stale(delivery::now_timeval());
        for (const auto& to : about_.recipients) {
            if (stale && queue::is_done(file->fd(), to.offset))
                add(to, delivery::sent("delivered before"), "", "");
            else
                deliver(*file, *readable, to);
        }
        return std::move(out_);
    }

    // When no thread was to be had.
    delivered defer_all(const std::string& reason) {
        out_.response.serial = about_.serial;
        for (const auto& to : about_.recipients) {
            const auto status = delivery::defer("4.3.0", reason);
            log(to, {to.address, status});
            add(to, status, "", "");
        }
        return std::move(out_);
    }

private:
    void deliver(queue::queue_file& file, const queue::queue_file& readable,
                 const delivery::recipient_ref& to) {
        auto done = through_.agent->deliver(about_, to, readable.fd());
        for (auto& text : done.warnings)
            out_.warnings.push_back(std::move(text));
        const std::span events(done.events.data(), std::min(done.events.size(), most_parts));
        for (const auto& event : events)
            log(to, event);
        if (events.size() < done.events.size())
            out_.warnings.push_back(about_.queue_id + ": to=<" + to.address + ">: " +
                                    std::to_string(done.events.size() - events.size()) +
                                    " more destinations are neither logged nor reported");
        if (done.status.delivered() && !about_.probe)
            if (auto marked = file.mark_done(to.offset); !marked)
                out_.warnings.push_back(about_.queue_id + ": cannot mark recipient: " + marked.error().text());
        add(to, done.status, done.action, done.address);
        if (done.events.size() > 1 || !done.events.front().original)
            for (const auto& event : events)
                if (out_.response.parts.size() < most_parts)
                    out_.response.parts.push_back(part(to, event));
    }

    [[nodiscard]] delivery::recipient_result part(const delivery::recipient_ref& to,
                                                  const delivery::delivery_event& event) const {
        delivery::recipient_result one;
        one.offset = to.offset;
        one.outcome = event.status.outcome;
        one.dsn = event.status.dsn;
        one.reason = event.status.reason;
        one.relay = through_.where.service;
        one.final_address = event.address;
        one.has_original = event.original;
        one.action = event.forwarded ? "relayed" : "delivered";
        return one;
    }

    void log(const delivery::recipient_ref& to, const delivery::delivery_event& event) {
        delivery::delay_times times;
        times.arrival = about_.arrival;
        times.active = about_.active;
        times.handed = handed_;
        times.done = delivery::now_timeval();
        const auto& original = !event.original ? event.address : to.original.empty() ? to.address : to.original;
        out_.lines.push_back(delivery::status_line(
            about_.queue_id, event.address, original, through_.where.service,
            delivery::format_delays(times, through_.decimals), event.status.dsn,
            delivery::status_word(event.status.outcome, about_.probe), event.status.reason));
    }

    void add(const delivery::recipient_ref& to, const delivery::status& status, const std::string& action,
             const std::string& final_address) {
        delivery::recipient_result one;
        one.offset = to.offset;
        one.outcome = status.outcome;
        one.dsn = status.dsn;
        one.reason = status.reason;
        one.relay = through_.where.service;
        one.final_address = final_address;
        one.diag_type = status.diag_type;
        one.diag_text = status.diag_text;
        one.action = status.delivered() ? action : "";
        out_.response.recipients.push_back(std::move(one));
    }

    const queue::spool& spool_;
    const transport& through_;
    const delivery::request& about_;
    timeval handed_;
    delivered out_;
};

class deliver_service {
public:
    deliver_service(worker& owner, std::unique_ptr<delivery::mailbox_port> port,
                    delivery::spawner_port* helpers)
        : worker_(owner), port_(std::move(port)), helpers_(helpers),
          stopped_(owner.io()) {}

    [[nodiscard]] result<void> add(endpoint where) {
        auto agent = where.program == "virtual" ? delivery::make_virtual_agent(where.cfg, *port_)
                                                : delivery::make_local_agent(where.cfg, where.service,
                                                                             worker_.spool().root(), *port_);
        if (!agent)
            return tl::make_unexpected(agent.error());
        transport one;
        one.decimals = static_cast<int>(where.cfg[param::delay_logging_resolution_limit]);
        one.agent = std::move(*agent);
        const int limit = where.process_limit > 0 ? std::min(where.process_limit, most_threads) : most_threads;
        one.threads = std::make_unique<net::pool>(worker_.io(), static_cast<std::size_t>(limit), most_waiting);
        one.where = std::move(where);
        const std::string name = one.where.service;
        transports_.insert_or_assign(name, std::make_shared<const transport>(std::move(one)));
        return {};
    }

    static void start(const std::shared_ptr<deliver_service>& self) {
        self->worker_.on_peer("queue", [self](std::shared_ptr<net::channel> queue) {
            self->worker_.spawn(serve(self, std::move(queue)));
        });
        self->worker_.on_stop([self] { self->stopped_.notify(); });
        if (self->helpers_ != nullptr)
            self->worker_.spawn(sweep(self));
    }

private:
    using self_ptr = std::shared_ptr<deliver_service>;

    static boost::asio::awaitable<void> serve(self_ptr self, std::shared_ptr<net::channel> queue) {
        const auto from = std::make_shared<const asker>(*queue);
        for (;;) {
            auto frame = co_await queue->receive();
            if (!frame)
                co_return;
            auto request = delivery::request::parse(*frame);
            if (!request)
                self->worker_.log().warning("damaged delivery request: " + request.error().text());
            // A worker that stops answers nothing new: the queue worker tries again elsewhere.
            else if (!self->worker_.stopping())
                self->worker_.spawn(handle(self, queue, from, std::move(*request)));
        }
    }

    static boost::asio::awaitable<void> handle(self_ptr self, std::shared_ptr<net::channel> queue,
                                               std::shared_ptr<const asker> from,
                                               delivery::request request) {
        const auto busy = self->worker_.busy();
        const auto handed = delivery::now_timeval();
        const auto about = std::make_shared<const delivery::request>(std::move(request));
        const auto known = self->transports_.find(about->transport);
        if (known == self->transports_.end()) {
            self->worker_.log().warning("delivery request for unknown transport: " + about->transport);
            co_return self->refuse(*queue, *about);
        }
        const auto through = known->second;
        const logger log = self->worker_.session_log(through->where);
        // The spool is copied into the job, which may outlive everything else.
        auto job = [spool = self->worker_.spool(), through, about, handed, from]() -> result<delivered> {
            if (from->gone())
                return fail(errc::closed);
            return delivery_job(spool, *through, *about, handed).run(*from);
        };
        auto done = co_await through->threads->run(std::move(job));
        if (!done && (from->gone() || !queue->is_open()))
            co_return;
        if (!done)
            done = delivery_job(self->worker_.spool(), *through, *about, handed)
                       .defer_all("delivery agent is busy: " + done.error().text());
        for (const auto& text : done->warnings)
            log.warning(text);
        for (const auto& text : done->lines)
            log.info(text);
        queue->send(done->response.encode());
    }

    static void refuse(net::channel& queue, const delivery::request& about) {
        delivery::response out;
        out.serial = about.serial;
        for (const auto& to : about.recipients) {
            delivery::recipient_result one;
            one.offset = to.offset;
            one.dsn = "4.3.5";
            one.reason = "mail transport unavailable";
            out.recipients.push_back(std::move(one));
        }
        queue.send(out.encode());
    }

    static boost::asio::awaitable<void> sweep(self_ptr self) {
        while (!self->worker_.stopping()) {
            (void)co_await self->stopped_.wait(idle_helper / 2);
            self->helpers_->close_idle(idle_helper);
        }
        self->helpers_->close_idle(std::chrono::seconds(0));
    }

    worker& worker_;
    std::unique_ptr<delivery::mailbox_port> port_;
    delivery::spawner_port* helpers_; // port_, when that is one
    std::map<std::string, std::shared_ptr<const transport>> transports_;
    net::event stopped_;
};

} // namespace

result<void> start_deliver(worker& owner, std::vector<endpoint> endpoints) {
    std::signal(SIGXFSZ, SIG_IGN); // a file size limit is an error of write(2), not the end
    std::unique_ptr<delivery::mailbox_port> port;
    delivery::spawner_port* helpers = nullptr;
    if (auto spawner = owner.take_spawner()) {
        auto through = delivery::make_spawner_port(std::move(*spawner));
        helpers = through.get();
        owner.on_spawner([helpers](unique_fd socket) { helpers->replace_spawner(std::move(socket)); });
        port = std::move(through);
    } else if (owner.privileged()) {
        return fail(errc::closed, "deliver worker: no spawner was handed over");
    } else {
        port = delivery::make_own_user_port();
    }
    auto service = std::make_shared<deliver_service>(owner, std::move(port), helpers);
    for (auto& where : endpoints)
        if (auto added = service->add(std::move(where)); !added)
            return added;
    deliver_service::start(service);
    return {};
}

} // namespace mta::daemon
