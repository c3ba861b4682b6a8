#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/policy/restriction.hpp>

namespace mta::policy {

namespace {

struct rule_name {
    std::string_view name;
    rule what;
};

constexpr rule_name rule_names[] = {
    {"permit", rule::permit},
    {"reject", rule::reject},
    {"defer", rule::defer},
    {"defer_if_permit", rule::defer_if_permit},
    {"warn_if_reject", rule::warn_if_reject},
    {"permit_mynetworks", rule::permit_mynetworks},
    {"permit_sasl_authenticated", rule::permit_sasl_authenticated},
    {"permit_tls_clientcerts", rule::permit_tls_clients},
    {"permit_tls_all_clientcerts", rule::permit_tls_clients},
    {"permit_auth_destination", rule::permit_auth_destination},
    {"reject_unauth_destination", rule::reject_unauth_destination},
    {"defer_unauth_destination", rule::defer_unauth_destination},
    {"reject_unauth_pipelining", rule::reject_unauth_pipelining},
    {"reject_unknown_client_hostname", rule::reject_unknown_client_hostname},
    {"reject_unknown_client", rule::reject_unknown_client_hostname},
    {"reject_unknown_reverse_client_hostname", rule::reject_unknown_reverse_client_hostname},
    {"reject_invalid_helo_hostname", rule::reject_invalid_helo_hostname},
    {"reject_invalid_hostname", rule::reject_invalid_helo_hostname},
    {"reject_non_fqdn_helo_hostname", rule::reject_non_fqdn_helo_hostname},
    {"reject_non_fqdn_hostname", rule::reject_non_fqdn_helo_hostname},
    {"reject_non_fqdn_sender", rule::reject_non_fqdn_sender},
    {"reject_unlisted_sender", rule::reject_unlisted_sender},
    {"reject_non_fqdn_recipient", rule::reject_non_fqdn_recipient},
    {"reject_unlisted_recipient", rule::reject_unlisted_recipient},
    {"check_recipient_maps", rule::reject_unlisted_recipient},
    {"reject_multi_recipient_bounce", rule::reject_multi_recipient_bounce},
};

} // namespace

result<restriction_list> parse_restrictions(std::string_view parameter, std::span<const std::string> words) {
    restriction_list out;
    for (const auto& word : words) {
        const auto* known = std::find_if(std::begin(rule_names), std::end(rule_names),
                                         [&](const rule_name& r) { return iequals(r.name, word); });
        if (known == std::end(rule_names))
            return fail(errc::unsupported,
                        "parameter " + std::string(parameter) + ": unsupported restriction: " + word);
        out.push_back({known->what, {}});
    }
    return out;
}

bool refuses_relaying(std::span<const restriction_list* const> lists) noexcept {
    const auto refuses = [](const restriction& r) {
        return r.what == rule::reject_unauth_destination || r.what == rule::defer_unauth_destination ||
               r.what == rule::reject || r.what == rule::defer || r.what == rule::defer_if_permit;
    };
    // What stands behind a permit is never asked, and what stands behind a warn_if_reject refuses nothing.
    const auto works = [&](const restriction_list* list) {
        bool warns = false;
        for (const auto& r : *list) {
            if (r.what == rule::permit)
                return false;
            if (refuses(r) && !warns)
                return true;
            warns = r.what == rule::warn_if_reject;
        }
        return false;
    };
    return std::any_of(lists.begin(), lists.end(), works);
}

} // namespace mta::policy
