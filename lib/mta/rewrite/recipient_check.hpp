// Whether an address exists: local_recipient_maps, virtual_alias_maps, virtual_mailbox_maps, relay_recipient_maps, and
// what routing says about it (reject_unlisted_recipient, reject_unlisted_sender).
//
// May block where a table does. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/rewrite/router.hpp>

namespace mta::rewrite {

struct recipient_verdict {
    bool known = true;
    address_class kind = address_class::other;
    int code = 550;   // unknown_local_recipient_reject_code and its like
    std::string text; // "User unknown in local recipient table"; an error transport's may begin with a status code
};

class recipient_check {
public:
    [[nodiscard]] static result<recipient_check> open(const config::configuration& cfg);
    recipient_check(recipient_check&&) noexcept;
    recipient_check& operator=(recipient_check&&) noexcept;
    ~recipient_check();

    // Whether the address that was routed exists: what the router sends to an error transport does not. A sender may
    // also be known to sender_canonical_maps. Errors: a table without an answer: reply 451 4.3.0.
    [[nodiscard]] result<recipient_verdict> check(const route& where, bool sender = false);

private:
    struct parts;
    explicit recipient_check(std::unique_ptr<parts> opened);
    std::unique_ptr<parts> parts_;
};

} // namespace mta::rewrite
