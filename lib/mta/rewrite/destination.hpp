// Which address a recipient really means, and whose it is.
//
// As long as the domain is this host's own it is taken off, and what is left may name another host:
// "u%far@here", "far!u@here" and "u@far@here" are mail for far. Whoever decides on relaying asks here, and
// never looks at the text behind the last "@": an own domain there may hide a foreign one. Addresses in
// internal form.
//
// May block where a domain list is a table that does. Not thread-safe. Safe on hostile input.
#pragma once

#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/rewrite/address_class.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/rewriter.hpp>

namespace mta::rewrite {

struct destination {
    std::string recipient; // always user@domain
    address_class kind = address_class::other;
    bool malformed = false; // the domain can be nobody's: no delivery
    // The local part holds "@", "%" or "!": another host may read it as an order to send the mail on, even
    // when we do not (swap_bangpath, allow_percent_hack).
    bool routed = false;

    [[nodiscard]] std::string_view domain() const noexcept {
        return std::string_view(recipient).substr(recipient.rfind('@') + 1);
    }
};

class destination_finder {
public:
    [[nodiscard]] static result<destination_finder> open(const config::configuration& cfg);

    // Errors: a domain list without an answer.
    [[nodiscard]] result<destination> find(std::string_view recipient);

    [[nodiscard]] domain_classes& domains() noexcept { return domains_; }

private:
    destination_finder(const config::configuration& cfg, domain_classes domains);
    [[nodiscard]] bool names_a_host(std::string_view local) const noexcept;
    [[nodiscard]] bool acceptable(std::string_view domain) const;

    domain_classes domains_;
    rewriter rewriter_;
    std::string host_;
    std::string empty_recipient_;
    bool swap_bangpath_;
    bool percent_hack_;
    bool null_domain_;
    bool numeric_domain_;
    bool look_into_quotes_;
    bool utf8_;
};

} // namespace mta::rewrite
