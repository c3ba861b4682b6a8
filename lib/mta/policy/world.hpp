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
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {
class configuration;
}

namespace mta::policy {

class world {
public:
    virtual ~world() = default;

    // What the log should say of how an answer came about: that a default of an earlier compatibility_level decided.
    using notes = std::vector<std::string>;

    // Whether the client is in mynetworks.
    [[nodiscard]] virtual result<bool> in_mynetworks(std::string_view name, std::string_view address, notes& said) = 0;

    // Whether mail for the recipient ends here or may pass: it is routed to mydestination, inet_interfaces,
    // virtual_alias_domains, virtual_mailbox_domains or relay_domains, and asks for no further hop there
    // (allow_untrusted_routing). sender is whom the mail is from: routes may depend on it.
    [[nodiscard]] virtual result<bool> is_our_destination(std::string_view sender, std::string_view recipient,
                                                          notes& said) = 0;

    // Why an address is refused: no table lists it though its class has one, or its route is an error. nullopt
    // when nothing speaks against it.
    struct unknown_user {
        std::string text; // "User unknown in local recipient table"; a route's text may begin with a status code
        int code = 550;   // unknown_local_recipient_reject_code and so on
    };
    enum class address_role { sender, recipient };
    // from: whom mail for the address would be from.
    [[nodiscard]] virtual result<std::optional<unknown_user>> unlisted(address_role role, std::string_view from,
                                                                       std::string_view address, notes& said) = 0;
};

// The world as main.cf describes it. Opens the tables that mynetworks, mydestination, the domain lists and
// the recipient maps name; to be called before privileges are dropped. Safe on several threads, as its tables are.
[[nodiscard]] result<std::unique_ptr<world>> open_world(const config::configuration& cfg);

} // namespace mta::policy
