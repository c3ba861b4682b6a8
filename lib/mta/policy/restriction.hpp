// The words of smtpd_*_restrictions, parsed and checked once at start.
//
// A word that this build does not act on is an error that names it and its parameter: a rule that is silently
// skipped would be an open relay or a lost rejection. No I/O.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::policy {

enum class rule {
    permit,
    reject,
    defer,
    defer_if_permit,
    warn_if_reject,
    permit_mynetworks,
    permit_sasl_authenticated,
    permit_tls_clients,
    permit_auth_destination,
    reject_unauth_destination,
    defer_unauth_destination,
    reject_unauth_pipelining,
    reject_unknown_client_hostname,
    reject_unknown_reverse_client_hostname,
    reject_invalid_helo_hostname,
    reject_non_fqdn_helo_hostname,
    reject_non_fqdn_sender,
    reject_unlisted_sender,
    reject_non_fqdn_recipient,
    reject_unlisted_recipient,
    reject_multi_recipient_bounce,
};

struct restriction {
    rule what;
    std::string argument;
};

using restriction_list = std::vector<restriction>;

// words are those of the parameter's value.
[[nodiscard]] result<restriction_list> parse_restrictions(std::string_view parameter,
                                                          std::span<const std::string> words);

// Whether one of the lists refuses foreign destinations: without it the host is an open relay.
[[nodiscard]] bool refuses_relaying(std::span<const restriction_list* const> lists) noexcept;

} // namespace mta::policy
