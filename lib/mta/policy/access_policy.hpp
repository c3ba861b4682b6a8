// Whether an SMTP client may do what it asks:
// smtpd_{client,helo,sender,relay,recipient,data,end_of_data}_restrictions.
//
// Rules are evaluated in the order of the reference: with smtpd_delay_reject (the default) everything up to
// the recipient waits for RCPT. A rule that cannot tell (a table is down) refuses with 451 4.3.0. Rules that
// need DNS, access tables or policy servers are not here yet: naming one is an error at start
// (restriction.hpp).
//
// Calls the world's tables; no other I/O. One object serves all sessions of an endpoint; it keeps nothing of
// them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/policy/restriction.hpp>
#include <mta/policy/world.hpp>
#include <mta/smtp/server_session.hpp>

namespace mta::config {
class configuration;
}

namespace mta::policy {

// What is known about the session beside the session itself.
struct client_facts {
    std::string reverse_name = "unknown"; // unverified PTR name
    bool name_trouble = false;            // the name lookup failed for now
    bool pipelined = false;               // talked ahead of its turn
};

struct decision {
    std::string reply;             // "554 5.7.1 <x>: Relay access denied"; empty: go on
    std::vector<std::string> logs; // whole lines: "NOQUEUE: reject: RCPT from …"
    std::vector<std::string> warnings; // tables that gave no answer
};

class access_policy {
public:
    // Errors: an unsupported rule, or no rule that stops relaying.
    [[nodiscard]] static result<access_policy> open(const config::configuration& cfg);

    // The answer to session.stage().
    [[nodiscard]] decision check(const smtp::server_session& session, const client_facts& facts,
                                 world& where) const;

private:
    struct codes {
        std::string access_denied = "554", try_later = "450", relay = "554", unknown_client = "450",
                    invalid_hostname = "501", non_fqdn = "504", multi_recipient_bounce = "550";
    };
    struct evaluation;

    restriction_list client_, helo_, sender_, relay_, recipient_, data_, end_of_data_, etrn_;
    codes codes_;
    bool delay_reject_ = true;
    bool relay_first_ = true;
    bool unlisted_recipient_ = true;
    bool unlisted_sender_ = false;
    bool soft_bounce_ = false;
    // Defaults of an earlier compatibility_level that hold; the log names them where they decide.
    struct legacy {
        bool recipient_before_relay = false; // smtpd_relay_before_recipient_restrictions=no
        bool no_smtputf8 = false;            // smtputf8_enable=no
    } legacy_;
};

} // namespace mta::policy
