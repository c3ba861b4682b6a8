// Where an address goes: its class, and the transport and nexthop that serve it.
//
// Local, virtual alias, virtual mailbox, relay or default domain (destination.hpp); then relayhost,
// transport_maps, the sender-dependent tables and relocated_maps. A table that cannot answer is an error: the
// mail is deferred.
//
// May block where a table does. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/rewrite/address_class.hpp>

namespace mta::rewrite {

struct route {
    std::string transport; // a service of master.cf: "smtp", "local", "error" …
    std::string nexthop;   // for "error" and "retry" the text for the sender, with its status code in front
    std::string recipient; // the address as the transport shall see it: always user@domain
    address_class kind = address_class::other;
    bool malformed = false; // nobody's address: the transport is "error"
    bool routed = false;    // the local part may ask the next host to send it on (destination.hpp)
};

class router {
public:
    // Opens every table. Errors: a table that cannot be opened.
    [[nodiscard]] static result<router> open(const config::configuration& cfg);
    router(router&&) noexcept;
    router& operator=(router&&) noexcept;
    ~router();

    // Addresses in internal form. The recipient is completed (rewriter) by the caller: what is bare is taken
    // for a user of myhostname.
    [[nodiscard]] result<route> resolve(std::string_view sender, std::string_view recipient);

private:
    struct parts;
    explicit router(std::unique_ptr<parts> opened);
    std::unique_ptr<parts> parts_;
};

} // namespace mta::rewrite
