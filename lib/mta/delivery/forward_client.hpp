// The client of public/cleanup (protocol cleanup_protocol, docs/queue-format.md): hands a message that local delivery
// forwards to other addresses back to the mail system, as a new message.
//
// Blocks, with a deadline for each wait; meant for a pool thread. Works with any mail system of the family.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/delivery/request.hpp>

namespace mta::delivery {

struct forward_recipient {
    std::string address;
    std::string original;     // shown as the address before rewriting
    std::string dsn_original; // ORCPT
    int notify = 0;
};

struct forward_message {
    std::string sender;       // of the new message: the old sender, or an owner- alias
    std::string delivered_to; // for the Delivered-To header that stops loops; lower case is made here
    std::string hostname;     // for the Received header: myhostname, mail_name
    std::string mail_name;
    std::vector<forward_recipient> recipients;
};

// Sends the content of the queue file under a new envelope and returns the new queue ID once the message is safe in
// the queue. socket is the path of public/cleanup. from gives encoding, DSN parameters and client attributes.
// Any error means that nothing was queued, or that we cannot know: defer.
[[nodiscard]] result<std::string> forward(const std::string& socket, const request& from, int queue_file,
                                          const forward_message& message, std::chrono::milliseconds limit);

// The NOTIFY bits of a forwarded recipient: the success report was given by us ("expanded").
[[nodiscard]] constexpr int notify_after_expansion(int notify) noexcept {
    constexpr int never = 1;
    constexpr int success = 2;
    return notify == success ? never : notify & ~success;
}

} // namespace mta::delivery
