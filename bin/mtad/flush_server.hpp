// public/flush: deliver one deferred message, or all mail for a site, now (queue_flush_protocol), and the logs in flush/
// from which a site's mail is known.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/attr.hpp>
#include <mta/net/stream.hpp>
#include <mta/queue/flush_request.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/rewrite/flush_sites.hpp>

#include "worker.hpp"

namespace mta::daemon {

class flush_server : public std::enable_shared_from_this<flush_server> {
public:
    // Opens the tables of fast_flush_domains. trigger is told like public/qmgr when files became due.
    [[nodiscard]] static result<std::shared_ptr<flush_server>>
    open(worker& owner, const configuration& cfg, std::function<void(std::string_view)> trigger);

    // Serves the endpoint, and looks after the logs from time to time.
    void serve(endpoint& where);

    // A message waits in deferred/: its sites are logged soon.
    void deferred(const std::string& id, std::span<const queue::log_entry> recipients);

private:
    struct note {
        std::string id;
        std::vector<std::string> sites;
    };
    struct ages {
        long long refresh;
        long long purge;
    };

    flush_server(worker& owner, std::shared_ptr<rewrite::flush_sites> sites, ages limits,
                 std::function<void(std::string_view)> trigger)
        : owner_(owner), sites_(std::move(sites)), ages_(limits), trigger_(std::move(trigger)) {}

    boost::asio::awaitable<void> serve_one(net::stream peer);
    boost::asio::awaitable<void> write_notes();
    boost::asio::awaitable<void> refresh_periodically(std::chrono::seconds period);
    boost::asio::awaitable<void> refresh();

    // On pool threads.
    static queue::flush_status perform(const queue::spool& spool, rewrite::flush_sites& sites, const ages& limits,
                                       const attr_list& request);
    static void write(const queue::spool& spool, rewrite::flush_sites& sites, const std::vector<note>& notes);

    worker& owner_;
    std::shared_ptr<rewrite::flush_sites> sites_;
    ages ages_;
    std::function<void(std::string_view)> trigger_;
    std::vector<note> notes_;
    bool writing_ = false;
};

} // namespace mta::daemon
