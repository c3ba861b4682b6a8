// Virtual alias expansion of envelope recipients: virtual_alias_maps, recursive, one to many, "@domain" included.
//
// An expansion that contains its own address keeps it. Limits: virtual_alias_expansion_limit addresses,
// virtual_alias_recursion_limit levels, virtual_alias_address_length_limit bytes. Addresses are in internal form.
// May block where a table does. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/table/maps.hpp>

namespace mta::rewrite {

class virtual_alias {
public:
    [[nodiscard]] static result<virtual_alias> open(const config::configuration& cfg);

    [[nodiscard]] bool empty() const noexcept { return tables_.empty(); }

    // Who gets mail for address: itself when no alias knows it. Errors: a table without an answer (temporary);
    // errc::too_large when a limit is passed, with a text for the log.
    [[nodiscard]] result<std::vector<std::string>> expand(std::string_view address);

    // Whether an alias exists for exactly this address (or its domain).
    [[nodiscard]] result<bool> knows(std::string_view address);

private:
    explicit virtual_alias(const config::configuration& cfg, domain_classes domains);
    [[nodiscard]] result<std::optional<std::vector<std::string>>> step(std::string_view address);

    table::maps tables_;
    domain_classes domains_;
    rewriter rewriter_;
    std::string delimiter_;
    std::size_t expansion_limit_;
    std::size_t recursion_limit_;
    std::size_t length_limit_;
    bool propagate_;
};

} // namespace mta::rewrite
