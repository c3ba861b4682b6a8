// The address classes of this host: which of mydestination, virtual_alias_domains, virtual_mailbox_domains and
// relay_domains lists a domain.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/rewrite/address_class.hpp>
#include <mta/table/match_list.hpp>

namespace mta::rewrite {

class domain_classes {
public:
    [[nodiscard]] static result<domain_classes> open(const config::configuration& cfg);

    // domain without case; "[192.0.2.1]" is local when it is an address of this host.
    [[nodiscard]] result<address_class> classify(std::string_view domain);
    [[nodiscard]] result<bool> is_local(std::string_view domain);
    // Whether tables may name the users of domain without it: a local domain, or $myorigin.
    [[nodiscard]] result<bool> has_bare_users(std::string_view domain);

private:
    table::match_list local_;
    table::match_list virtual_alias_;
    table::match_list virtual_mailbox_;
    table::match_list relay_;
    std::vector<std::string> own_addresses_;
    std::string origin_;
};

// Whether the feature is named in parent_domain_matches_subdomains.
[[nodiscard]] table::parent_style parent_style_of(const config::configuration& cfg, std::string_view feature);

} // namespace mta::rewrite
