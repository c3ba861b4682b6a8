// fast_flush_domains: the sites for which deferred mail is logged, and that may have it delivered on request (ETRN,
// postqueue -s).
#pragma once

#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/table/match_list.hpp>

namespace mta::rewrite {

class flush_sites {
public:
    // Opens the tables that the parameter names.
    [[nodiscard]] static result<flush_sites> open(const config::configuration& cfg);

    [[nodiscard]] bool empty() const noexcept { return sites_.empty(); }
    // site without case. Address literals are never eligible; so it is with Postfix. Safe on several threads, as the tables are.
    [[nodiscard]] result<bool> has(std::string_view site);

private:
    explicit flush_sites(table::match_list list) : sites_(std::move(list)) {}
    table::match_list sites_;
};

} // namespace mta::rewrite
