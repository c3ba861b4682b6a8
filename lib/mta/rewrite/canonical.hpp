// Canonical mapping: canonical_maps, sender_canonical_maps and recipient_canonical_maps with their classes.
//
// The result of a lookup is looked up again until nothing changes (at most ten times). Addresses in internal form.
// May block where a table does. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/table/address_lookup.hpp>
#include <mta/table/maps.hpp>

namespace mta::rewrite {

// The names that canonical_classes and its like use.
enum class address_use { envelope_sender, envelope_recipient, header_sender, header_recipient };

class canonical {
public:
    [[nodiscard]] static result<canonical> open(const config::configuration& cfg);

    [[nodiscard]] bool applies(address_use use) const noexcept;

    // Whether a table has an entry for the address of a sender or a recipient, whatever the classes say.
    [[nodiscard]] result<bool> knows(std::string_view address, bool sender);

    // The address after mapping; itself when nothing maps it. Errors: a table without an answer.
    [[nodiscard]] result<std::string> map(std::string_view address, address_use use);

private:
    canonical(const config::configuration& cfg, domain_classes domains);
    [[nodiscard]] result<std::optional<table::address_match>> find(table::maps& tables, std::string_view address);
    [[nodiscard]] result<std::string> map_in(table::maps& tables, std::string address);

    struct layer {
        table::maps tables;
        unsigned uses = 0; // bit per address_use
    };
    layer sender_;
    layer recipient_;
    layer all_;
    domain_classes domains_;
    rewriter rewriter_;
    std::string delimiter_;
    bool propagate_;
};

} // namespace mta::rewrite
