// The tables worker: the proxymap and proxywrite services (proxy_answers.hpp) on their sockets. Other processes look things up
// here, in tables that they may not open themselves or that should have few connections.
//
// Tables are opened as mail_owner: a client gets no rights that mail_owner lacks. Reads no mail.
#include <set>

#include "lookups.hpp"
#include "proxy_answers.hpp"
#include "services.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::chrono::seconds client_limit{100}; // for a client to take its answer
constexpr std::chrono::seconds idle_limit{300};   // a client connects again when it has a question again

class proxy_service : public std::enable_shared_from_this<proxy_service> {
public:
    proxy_service(worker& owner, endpoint where)
        : worker_(owner), where_(std::move(where)), log_(owner.log().sink(), where_.tag),
          answers_(where_.cfg, where_.service) {}

    void start() {
        const auto self = shared_from_this();
        worker_.on_stop([self] {
            for (auto* idle : self->idle_)
                idle->cancel();
        });
        serve_connections(worker_, where_, [self](net::stream peer) { return converse(self, std::move(peer)); });
    }

private:
    static boost::asio::awaitable<void> converse(std::shared_ptr<proxy_service> self, net::stream peer) {
        const auto busy = self->worker_.busy();
        const logger log = self->log_.with_number(self->worker_.next_number());
        proxy_walks walks;
        std::string bytes;
        std::string chunk(4096, '\0');
        std::string out = attr_writer().put("protocol", "proxymap_protocol").finish();
        for (;;) {
            auto sent = co_await peer.write(out, client_limit);
            std::size_t used = 0;
            auto request = attr_list::parse(bytes, &used);
            while (sent && !request && bytes.size() < longest_proxy_request && !self->worker_.stopping()) {
                self->idle_.insert(&peer);
                auto got = co_await peer.read_some(chunk.data(), chunk.size(), idle_limit);
                self->idle_.erase(&peer);
                if (!got)
                    co_return;
                bytes.append(chunk, 0, *got);
                request = attr_list::parse(bytes, &used);
            }
            if (!sent || !request)
                co_return; // a client whose answer is missing asks again
            bytes.erase(0, used);
            auto operation = [&]() -> result<std::string> { return self->answers_.answer(*request, walks, log); };
            auto answered = co_await look_up(self->worker_, operation);
            if (!answered) {
                log.warning("lookup for a client: " + answered.error().text());
                co_return;
            }
            out = std::move(*answered);
        }
    }

    worker& worker_;
    endpoint where_;
    logger log_;
    proxy_answers answers_;
    std::set<net::stream*> idle_; // waiting for a request; the loop's
};

} // namespace

result<void> start_tables(worker& owner, std::vector<endpoint> endpoints) {
    for (auto& one : endpoints)
        std::make_shared<proxy_service>(owner, std::move(one))->start();
    return {};
}

} // namespace mta::daemon
