// The send worker: deliveries by SMTP for the queue worker, one coroutine each.
//
// Touches the spool's active/ files (read, and mark recipients), DNS and the network. It runs as mail_owner.
#include <deque>
#include <map>

#include "services.hpp"
#include "smtp_delivery.hpp"

namespace mta::daemon {
namespace {

using net::awaitable;

struct job {
    delivery::request request;
    std::shared_ptr<net::channel> from;
    std::shared_ptr<const asker> who; // at the other end
};

struct smtp_line {
    smtp_transport transport;
    std::deque<job> waiting;
    int active = 0;
};

class smtp_service : public std::enable_shared_from_this<smtp_service> {
public:
    explicit smtp_service(worker& owner) : owner_(owner) {}

    [[nodiscard]] result<void> add(endpoint where) {
        auto line = std::make_unique<smtp_line>();
        auto settings = read_smtp_settings(where.cfg);
        if (!settings)
            return failure(settings.error());
        line->transport.settings = std::move(*settings);
        net::resolver_options options;
        options.servers = line->transport.settings.dns_servers;
        options.use_hosts_file = line->transport.settings.use_hosts_file;
        line->transport.dns = std::make_unique<net::resolver>(owner_.io(), std::move(options));
        const std::string name = where.service;
        line->transport.where = std::move(where);
        lines_[name] = std::move(line);
        return {};
    }

    void start() {
        owner_.on_peer("queue", [self = shared_from_this()](std::shared_ptr<net::channel> peer) {
            if (peer)
                self->owner_.spawn(listen(self, std::move(peer)));
        });
    }

private:
    static awaitable<void> listen(std::shared_ptr<smtp_service> self, std::shared_ptr<net::channel> peer) {
        const auto who = std::make_shared<const asker>(*peer);
        for (;;) {
            auto frame = co_await peer->receive();
            if (!frame)
                co_return;
            auto request = delivery::request::parse(*frame);
            if (!request) {
                self->owner_.log().warning("bad delivery request: " + request.error().text());
                continue;
            }
            job work{std::move(*request), peer, who};
            self->take(std::move(work));
        }
    }

    void take(job work) {
        const auto line = lines_.find(work.request.transport);
        if (line == lines_.end()) {
            refuse(work, "mail transport unavailable");
            return;
        }
        const int limit = line->second->transport.where.process_limit;
        if (limit > 0 && line->second->active >= limit) {
            line->second->waiting.push_back(std::move(work));
            return;
        }
        begin(*line->second, std::move(work));
    }

    void refuse(const job& work, const std::string& reason) {
        delivery::response out;
        out.serial = work.request.serial;
        for (const auto& to : work.request.recipients) {
            delivery::recipient_result one;
            one.offset = to.offset;
            one.dsn = "4.3.0";
            one.reason = reason;
            out.recipients.push_back(std::move(one));
        }
        owner_.log().warning(work.request.queue_id + ": " + work.request.transport + ": " + reason);
        work.from->send(out.encode());
    }

    // A stopping worker starts no delivery: the queue worker that asked is going too. Nor is one begun for a
    // queue worker that is gone: its successor asks again, perhaps somebody else.
    void begin(smtp_line& line, job work) {
        if (owner_.stopping() || work.who->gone())
            return;
        ++line.active;
        owner_.spawn(deliver(shared_from_this(), &line, std::move(work)));
    }

    static awaitable<void> deliver(std::shared_ptr<smtp_service> self, smtp_line* line, job work) {
        const auto busy = self->owner_.busy();
        const auto from = work.from;
        {
            smtp_delivery delivery(self->owner_, line->transport, std::move(work.request));
            if (delivery.begin(*work.who)) {
                const delivery::response answer = co_await delivery.run();
                from->send(answer.encode());
            }
        }
        --line->active;
        const int limit = line->transport.where.process_limit;
        while (!line->waiting.empty() && (limit <= 0 || line->active < limit)) {
            job next = std::move(line->waiting.front());
            line->waiting.pop_front();
            self->begin(*line, std::move(next));
        }
        if (!line->transport.cache.empty() && !line->transport.sweeping) {
            line->transport.sweeping = true;
            self->owner_.spawn(sweep(self, line));
        }
    }

    // Runs while sessions are kept.
    static awaitable<void> sweep(std::shared_ptr<smtp_service> self, smtp_line* line) {
        auto& transport = line->transport;
        while (!transport.cache.empty()) {
            const auto pause = std::min(transport.settings.cache_time, net::milliseconds(250));
            if (!co_await net::sleep_for(std::max(pause, net::milliseconds(10))))
                break;
            const bool over = self->owner_.stopping();
            transport.cache.sweep(over ? net::milliseconds(0) : transport.settings.cache_time);
        }
        transport.sweeping = false;
    }

    worker& owner_;
    std::map<std::string, std::unique_ptr<smtp_line>> lines_;
};

} // namespace

result<void> start_smtp(worker& owner, std::vector<endpoint> endpoints) {
    const auto service = std::make_shared<smtp_service>(owner);
    for (auto& one : endpoints)
        if (auto added = service->add(std::move(one)); !added)
            return added;
    service->start();
    return {};
}

} // namespace mta::daemon
