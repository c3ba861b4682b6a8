// What the queue worker asks of a delivering worker, and what it hears back.
//
// A request is one batch: some recipients of one message that share a transport and a nexthop. Both travel as
// attribute lists (core/attr.hpp) in frames of net/channel.hpp. Whoever delivers opens the queue file itself, marks
// the recipients it delivered, and logs their status lines; the queue worker logs nothing per recipient.
//
// No I/O. Safe on damaged frames: parse() answers an error.
#pragma once

#include <sys/time.h>

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/attr.hpp>
#include <mta/core/result.hpp>

namespace mta::delivery {

struct recipient_ref {
    long long offset = 0; // of its R record in the queue file
    std::string address;  // internal form, after rewriting
    std::string original; // before rewriting; empty when the same
    std::string dsn_original; // ORCPT, "rfc822;user@example.com", or empty
    int notify = 0;           // NOTIFY bits (queue/envelope.hpp)
};

struct request {
    unsigned long serial = 0; // the answer carries it back
    std::string queue_id;
    std::string queue_name = "active";
    std::string transport; // service name in master.cf: "smtp", "relay", "local" …
    std::string nexthop;
    std::string sender;
    std::string encoding; // "7bit", "8bit" or empty
    std::string dsn_envid;
    int dsn_ret = 0;
    long long message_size = 0;
    long long data_offset = 0; // of the first content record
    timeval arrival{};         // of the message
    timeval active{};          // when it entered the active queue
    timeval sent{};            // when this request was made
    bool reuse = false;        // more deliveries to this nexthop wait: keep the connection
    bool smtputf8 = false;
    bool probe = false;        // only asks whether it could be delivered; nothing is delivered or marked
    std::string rewrite_context;
    std::vector<std::pair<std::string, std::string>> client; // client_name, log_client_name … as in the queue file
    std::vector<recipient_ref> recipients;

    // It has waited so long that another worker may have served it: look at the marks before delivering.
    [[nodiscard]] bool stale(const timeval& now) const noexcept { return now.tv_sec > sent.tv_sec + 1; }

    [[nodiscard]] std::string encode() const;
    [[nodiscard]] static result<request> parse(std::string_view frame);
};

enum class outcome {
    delivered, // the next hop or the store has it; marked in the queue file by whoever delivered
    deferred,  // try again later
    bounced,   // never; the sender is to be told
};

struct recipient_result {
    long long offset = 0;
    delivery::outcome outcome = delivery::outcome::deferred;
    std::string dsn;       // "2.0.0"
    std::string action;    // DSN action of a delivery: "delivered" or "relayed"
    std::string reason;    // for people, without the status words
    std::string relay;     // who took or refused it, as the log says; empty when nobody was asked
    std::string diag_type; // "smtp", "x-unix", or empty
    std::string diag_text;
    std::string final_address; // the one that failed, when the recipient's was expanded on the way; or empty
    bool has_original = true;  // false: what the sender called this recipient is a list owner's business
    std::string mta_type; // "dns" or empty
    std::string mta_name;
};

struct response {
    unsigned long serial = 0;
    // The whole destination failed before any recipient was tried (connection refused, greeting 4xx …): other
    // mail for it may wait. Empty when the destination answered.
    std::string dead_destination;
    std::vector<recipient_result> recipients;
    // When a recipient was expanded into several: what became of each, for delivery reports alone.
    std::vector<recipient_result> parts;

    [[nodiscard]] std::string encode() const;
    [[nodiscard]] static result<response> parse(std::string_view frame);
};

} // namespace mta::delivery
