// Where an address goes: its class, and the transport and nexthop that serve it.
//
// Local, virtual alias, virtual mailbox, relay or default domain; then relayhost, transport_maps and the
// sender-dependent tables. A table that cannot answer is an error: the mail is deferred.
//
// May block where a table does. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::rewrite {

enum class address_class { local, virtual_alias, virtual_mailbox, relay, other };

struct route {
    std::string transport; // a service of master.cf: "smtp", "local", "error" …
    std::string nexthop;   // for "error" the text for the sender
    std::string recipient; // the address as the transport shall see it
    address_class kind = address_class::other;
};

class router {
public:
    // Opens every table. Errors: a table that cannot be opened.
    [[nodiscard]] static result<router> open(const config::configuration& cfg);
    router(router&&) noexcept;
    router& operator=(router&&) noexcept;
    ~router();

    // recipient is complete (rewriter). Addresses in internal form.
    [[nodiscard]] result<route> resolve(std::string_view sender, std::string_view recipient);

    // The class of a domain; "" and this host's own address literals are local.
    [[nodiscard]] result<address_class> classify(std::string_view domain);

    [[nodiscard]] bool may_block() const noexcept;

private:
    struct parts;
    explicit router(std::unique_ptr<parts> opened);
    std::unique_ptr<parts> parts_;
};

} // namespace mta::rewrite
