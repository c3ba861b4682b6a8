// The fields that a mail system adds to what passes through it: Received (RFC 5321 4.4) and Message-ID.
//
// The layout is the one that log and spam tools parse. Text from clients must be neutral already: trace_text().
// No I/O.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace mta::message {

// Received from the network. Lines are parted by "\n", continuation lines begin with a tab.
//
//     Received: from HELO (NAME [ADDR])
//     \tby HOST (MAIL_NAME) with PROTOCOL id ID
//     \tfor <RCPT>; DATE
struct smtp_trace {
    std::string_view helo;
    std::string_view client_name;    // "unknown" when not verified
    std::string_view client_address; // "[::1]" is shown as [IPv6:::1]
    std::string_view myhostname;
    std::string_view mail_name = "Postfix";
    std::string_view protocol = "SMTP";
    std::string_view queue_id;
    std::string_view recipient; // external form; empty with several recipients: no "for"
    std::string_view authenticated_user; // empty: not shown
    std::string_view tls;                // "using TLSv1.3 with cipher …" lines, made by the caller; empty: none
    std::time_t when = 0;
};
[[nodiscard]] std::string received_by_smtp(const smtp_trace& about);

//     Received: by HOST (MAIL_NAME, from userid UID)
//     \tid ID; DATE
[[nodiscard]] std::string received_by_pickup(std::string_view myhostname, std::string_view mail_name, unsigned long uid,
                                             std::string_view queue_id, std::time_t when);

//     Received: by HOST (MAIL_NAME)
//     \tid ID; DATE
[[nodiscard]] std::string received_internal(std::string_view myhostname, std::string_view mail_name,
                                            std::string_view queue_id, std::time_t when);

// Text from a client made safe for a comment of a Received field: control and non-ASCII bytes, and what would end
// the comment, become "?".
[[nodiscard]] std::string trace_text(std::string_view text);

// "<20261121053741.39AAFA90117@host>": UTC time, queue ID, host.
[[nodiscard]] std::string make_message_id(std::time_t when, std::string_view queue_id, std::string_view myhostname);

} // namespace mta::message
