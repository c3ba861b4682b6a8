// The local and virtual delivery agents without their processes: from a recipient to what must be written where.
//
// Both are blocking and thread-safe: table lookups are serialised inside. They write nothing themselves: mailboxes
// are written, and users' files read, through a mailbox_port, which does it as the right user.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/delivery/helper_protocol.hpp>
#include <mta/delivery/request.hpp>

namespace mta::delivery {

// Performs requests as a user: in this process, or in a helper. Called from several threads at once.
class mailbox_port {
public:
    virtual ~mailbox_port() = default;
    // queue_file as in perform(). Trouble on the way to the user is a deferral.
    [[nodiscard]] virtual helper_answer perform_as(helper_user who, const helper_request& request,
                                                   int queue_file) = 0;
};

// One final delivery of a recipient, as it goes to the log.
struct delivery_event {
    std::string address; // to=<>
    delivery::status status;
    bool original = true;   // orig_to=<> is of interest; mail of a list with an owner is the owner's
    bool forwarded = false; // to a new message: DSN calls that relayed
};

struct agent_result {
    delivery::status status;            // of the recipient as a whole: the worst of its events
    std::string address;                // of that event, when it is another than the recipient's
    std::string action;                 // DSN action when delivered: "delivered" or "relayed"
    std::vector<delivery_event> events; // one log line each; at least one
    std::vector<std::string> warnings;  // for the log
};

class agent {
public:
    virtual ~agent() = default;
    // Delivers to one recipient of the request. queue_file is a read-only descriptor of the message.
    [[nodiscard]] virtual agent_result deliver(const request& from, const recipient_ref& to, int queue_file) = 0;
};

// What the log says, beside the status line, about a mailbox that could not be written.
[[nodiscard]] std::vector<std::string> mailbox_warnings(helper_user who, const mailbox_job& job, const status& done);

// Open the tables that cfg names (with the -o of the master.cf line). transport is the master.cf name; queue_root the
// directory that holds public/. The port must outlive the agent.
[[nodiscard]] result<std::unique_ptr<agent>> make_local_agent(const config::configuration& cfg, std::string transport,
                                                              std::string queue_root, mailbox_port& port);
[[nodiscard]] result<std::unique_ptr<agent>> make_virtual_agent(const config::configuration& cfg, mailbox_port& port);

} // namespace mta::delivery
