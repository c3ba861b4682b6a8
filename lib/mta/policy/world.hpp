// What access rules ask about the world: networks, address classes, known recipients.
//
// An interface, so that rules are tested without tables, and so that services may put caches or pools behind
// it. Every answer has three outcomes; an error means "could not tell" and becomes a temporary refusal, never
// a permission.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::config {
class configuration;
}

namespace mta::policy {

class world {
public:
    virtual ~world() = default;

    // Whether the client is in mynetworks.
    [[nodiscard]] virtual result<bool> in_mynetworks(std::string_view name, std::string_view address) = 0;

    // Whether mail for the recipient ends here or may pass: its domain is in mydestination, inet_interfaces,
    // virtual_alias_domains, virtual_mailbox_domains or relay_domains, and its local part asks for no further
    // hop.
    [[nodiscard]] virtual result<bool> is_our_destination(std::string_view recipient) = 0;

    // Why an address of one of our domains is refused when no table lists it; nullopt when the address is
    // listed, when its class has no such table, and when its domain is not ours.
    struct unknown_user {
        std::string text; // "User unknown in local recipient table"
        int code = 550;   // unknown_local_recipient_reject_code and so on
    };
    [[nodiscard]] virtual result<std::optional<unknown_user>> unlisted(std::string_view address) = 0;
};

// The world as main.cf describes it. Opens the tables that mynetworks, mydestination, the domain lists and
// the recipient maps name; to be called before privileges are dropped. Not thread-safe.
[[nodiscard]] result<std::unique_ptr<world>> open_world(const config::configuration& cfg);

} // namespace mta::policy
