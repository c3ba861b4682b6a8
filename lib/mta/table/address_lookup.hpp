// Address-style lookups: user+ext@domain, user@domain, user+ext, user, @domain, in this order (map-search-order).
//
// Each key is tried as it stands in a header ("joe doe"@far.test), then without quotes. Tables of patterns see the
// whole address only. The extension that a match left over is told, for
// propagate_unmatched_extensions. Addresses are in internal form.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/maps.hpp>
#include <mta/table/match_list.hpp>

namespace mta::table {

struct address_match {
    std::string value;
    std::string unmatched_extension; // with its delimiter: "+ext"; empty when the key had it, or there is none
    bool by_domain = false;          // found under "@domain"
};

struct address_lookup_options {
    std::string recipient_delimiter;
    bool bare_user = true;    // try "user" alone when the domain is one of ours
    bool at_domain = true;    // try "@domain"
    bool plain_domain = false; // try "domain" and its parents (transport and access tables)
    parent_style parents = parent_style::exact; // exact: as ".parent"; subdomains: as "parent"
    std::function<result<bool>(std::string_view domain)> is_ours; // for bare_user; absent: never
};

[[nodiscard]] result<std::optional<address_match>> find_address(maps& tables, std::string_view address,
                                                                const address_lookup_options& options);

} // namespace mta::table
