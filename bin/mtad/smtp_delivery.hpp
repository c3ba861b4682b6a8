// One delivery request carried out by SMTP: servers tried in order, recipients settled, marked and logged.
//
// Follows the servers of the nexthop as the reference does: a soft refusal goes on to the next server, the
// last server's word is final. The queue file is locked (shared) from the first to the last step.
#pragma once

#include <string>
#include <vector>

#include <mta/delivery/delays.hpp>
#include <mta/delivery/request.hpp>
#include <mta/queue/queue_file.hpp>

#include "asker.hpp"
#include "smtp_cache.hpp"
#include "smtp_conversation.hpp"
#include "smtp_settings.hpp"
#include "smtp_targets.hpp"
#include "worker.hpp"

namespace mta::daemon {

// What the deliveries of one master.cf line share.
struct smtp_transport {
    endpoint where;
    smtp_settings settings;
    std::unique_ptr<net::resolver> dns;
    smtp_cache cache;
    bool sweeping = false;
};

class smtp_delivery {
public:
    smtp_delivery(worker& owner, smtp_transport& transport, delivery::request request);
    smtp_delivery(const smtp_delivery&) = delete; // its conversation refers to it
    smtp_delivery& operator=(const smtp_delivery&) = delete;

    // Opens and locks the message. False when who asked has gone: then nothing is to be done, nor answered.
    [[nodiscard]] bool begin(const asker& from);

    // Ends with one result for every recipient of the request. After begin().
    [[nodiscard]] net::awaitable<delivery::response> run();

private:
    struct last_word {
        bool hard = false;
        std::string dsn, reason, reply, host;
    };

    [[nodiscard]] bool open_message();
    void skip_done(); // recipients that another worker has served while this request waited
    [[nodiscard]] net::awaitable<void> try_destination(std::string nexthop, bool last_destination);
    [[nodiscard]] net::awaitable<void> try_target(smtp_target target, std::string nexthop,
                                                  bool loop_detection, bool final_server);
    [[nodiscard]] net::awaitable<bool> try_kept(std::string nexthop);
    void collect(smtp_connection& connection, bool final_server);
    void keep_or_end(smtp_connection connection, const std::string& nexthop);
    [[nodiscard]] smtp::client_transaction transaction();
    [[nodiscard]] bool wants_reuse(const std::string& nexthop) const;
    void settle(std::size_t index, const smtp::client_result& result, const std::string& relay,
                const std::string& mta, bool knows_dsn);
    void settle_rest();

    worker& owner_;
    smtp_transport& transport_;
    delivery::request request_;
    logger log_;
    std::optional<queue::queue_file> file_;
    delivery::response response_;
    std::vector<std::size_t> open_;  // recipients not settled yet
    std::vector<std::size_t> tried_; // those of the transaction at hand
    delivery::delay_times times_;
    std::optional<smtp_conversation> conversation_; // once the message is open
    last_word last_;
    std::size_t sessions_ = 0;
    bool opened_ = false;
    bool answered_ = false; // some server had a word on some recipient
};

} // namespace mta::daemon
