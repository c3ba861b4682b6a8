// Virtual delivery: mailboxes named by tables, owned by users that tables name; no accounts, aliases or .forward.
//
// The decisions alone: lookups are functions, so that a test needs no table.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <mta/delivery/agents.hpp>

namespace mta::delivery {

struct virtual_settings {
    mailbox_job mailbox; // hostname, limit, locks, strict_owner: the same for every recipient
    bool original_header = true; // enable_original_recipient
    std::string mailbox_base;    // virtual_mailbox_base
    long long minimum_uid = 100; // virtual_minimum_uid
};

// Each takes an address in lower case and looks it up as address tables are (user+ext@domain, user@domain, @domain).
// nullopt: not there. Error: could not tell.
struct virtual_lookups {
    using lookup = std::function<result<std::optional<std::string>>(const std::string& address)>;
    lookup mailbox; // virtual_mailbox_maps
    lookup uid;     // virtual_uid_maps
    lookup gid;     // virtual_gid_maps
};

[[nodiscard]] std::unique_ptr<agent> make_virtual_agent(virtual_settings settings, virtual_lookups lookups,
                                                        mailbox_port& port);

} // namespace mta::delivery
