#include <optional>

#include <mta/address/parts.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/router.hpp>
#include <mta/table/address_lookup.hpp>
#include <mta/table/maps.hpp>

namespace mta::rewrite {
namespace {

result<table::maps> open_maps(const config::configuration& cfg, const char* name) {
    return table::maps::open(name, config::split_list(cfg.text(name)));
}

// "transport:nexthop" where either side may be missing.
struct destination {
    std::string transport;
    std::string nexthop;
};
destination split_destination(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return {std::string(text), {}};
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

} // namespace

struct router::parts {
    parts(const config::configuration& configured, domain_classes opened)
        : cfg(configured), domains(std::move(opened)), relayhost(cfg.text("relayhost")),
          delimiter(cfg.text("recipient_delimiter")) {}

    result<route> by_class(address_class kind, std::string_view sender, std::string_view recipient,
                           std::string_view domain);
    result<std::optional<destination>> by_transport_maps(std::string_view recipient, std::string_view domain);
    result<std::optional<std::string>> sender_dependent(table::maps& tables, std::string_view sender);

    config::configuration cfg;
    domain_classes domains;
    table::maps transports;
    table::maps sender_relayhosts;
    table::maps sender_transports;
    table::maps relocated;
    std::string relayhost;
    std::string delimiter;
};

router::router(std::unique_ptr<parts> opened) : parts_(std::move(opened)) {}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

result<router> router::open(const config::configuration& cfg) {
    auto domains = domain_classes::open(cfg);
    if (!domains)
        return tl::make_unexpected(domains.error());
    auto opened = std::make_unique<parts>(cfg, std::move(*domains));
    for (auto [into, name] : {std::pair{&opened->transports, "transport_maps"},
                              {&opened->sender_relayhosts, "sender_dependent_relayhost_maps"},
                              {&opened->sender_transports, "sender_dependent_default_transport_maps"},
                              {&opened->relocated, "relocated_maps"}}) {
        auto tables = open_maps(cfg, name);
        if (!tables)
            return tl::make_unexpected(tables.error());
        *into = std::move(*tables);
    }
    return router(std::move(opened));
}

bool router::may_block() const noexcept {
    return parts_->transports.may_block() || parts_->sender_relayhosts.may_block() ||
           parts_->sender_transports.may_block() || parts_->relocated.may_block();
}

result<address_class> router::classify(std::string_view domain) { return parts_->domains.classify(domain); }

// user@domain, then "@domain"; the null sender is looked up as "<>" (empty_address_… parameters).
result<std::optional<std::string>> router::parts::sender_dependent(table::maps& tables, std::string_view sender) {
    if (tables.empty())
        return std::nullopt;
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter;
    options.bare_user = false;
    auto found = table::find_address(tables, sender.empty() ? "<>" : sender, options);
    if (!found)
        return tl::make_unexpected(found.error());
    if (!*found || (*found)->value == "DUNNO")
        return std::nullopt;
    return std::move((*found)->value);
}

result<route> router::parts::by_class(address_class kind, std::string_view sender, std::string_view recipient,
                                      std::string_view domain) {
    route out;
    out.kind = kind;
    out.recipient = recipient;
    const char* parameter = kind == address_class::local             ? "local_transport"
                            : kind == address_class::virtual_mailbox ? "virtual_transport"
                            : kind == address_class::relay           ? "relay_transport"
                                                                     : "default_transport";
    std::string chosen = cfg.text(parameter);
    if (kind == address_class::virtual_alias) {
        // Such a domain has no mailboxes: whoever still has its address is unknown.
        out.transport = "error";
        out.nexthop = cfg.yes_no("show_user_unknown_table_name").value_or(true)
                          ? "5.1.1 User unknown in virtual alias table"
                          : "5.1.1 User unknown";
        return out;
    }
    if (kind == address_class::other) {
        auto special = sender_dependent(sender_transports, sender);
        if (!special)
            return tl::make_unexpected(special.error());
        if (*special)
            chosen = std::move(**special);
    }
    const auto there = split_destination(chosen);
    out.transport = there.transport;
    out.nexthop = there.nexthop;
    if (kind == address_class::relay || kind == address_class::other) {
        auto host = sender_dependent(sender_relayhosts, sender);
        if (!host)
            return tl::make_unexpected(host.error());
        const std::string& relay = *host ? **host : relayhost;
        if (out.nexthop.empty())
            out.nexthop = relay.empty() ? std::string(domain) : relay;
    } else if (out.nexthop.empty()) {
        out.nexthop = domain;
    }
    return out;
}

// user+ext@domain, user@domain, domain, .parent …, "*" (transport(5)).
result<std::optional<destination>> router::parts::by_transport_maps(std::string_view recipient,
                                                                    std::string_view domain) {
    if (transports.empty())
        return std::nullopt;
    const auto answer = [](std::string text) { return std::optional(split_destination(text)); };
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter;
    options.bare_user = false;
    options.at_domain = false;
    auto whole = table::find_address(transports, recipient, options);
    if (!whole)
        return tl::make_unexpected(whole.error());
    if (*whole)
        return answer((*whole)->value);
    using kind = table::maps::key_kind;
    const bool plain_parents = parent_style_of(cfg, "transport_maps") == table::parent_style::subdomains;
    std::vector<std::string> keys;
    if (!domain.empty()) {
        keys.emplace_back(domain);
        for (auto dot = domain.find('.'); dot != std::string_view::npos && domain.front() != '[';
             dot = domain.find('.', dot + 1))
            keys.emplace_back(domain.substr(plain_parents ? dot + 1 : dot));
    }
    keys.emplace_back("*");
    for (const auto& key : keys) {
        if (key.empty())
            continue;
        auto found = transports.find(key, kind::part);
        if (!found)
            return tl::make_unexpected(found.error());
        if (*found)
            return answer(**found);
    }
    return std::nullopt;
}

result<route> router::resolve(std::string_view sender, std::string_view recipient) {
    const auto address = address::split_address(recipient);
    const auto domain = lower(address.domain);
    auto kind = parts_->domains.classify(domain);
    if (!kind)
        return tl::make_unexpected(kind.error());
    if (!parts_->relocated.empty()) {
        table::address_lookup_options options;
        options.recipient_delimiter = parts_->delimiter;
        options.is_ours = [this](std::string_view name) { return parts_->domains.is_local(name); };
        auto moved = table::find_address(parts_->relocated, recipient, options);
        if (!moved)
            return tl::make_unexpected(moved.error());
        if (*moved)
            return route{"error", "5.1.6 User has moved to " + (*moved)->value, std::string(recipient), *kind};
    }
    auto out = parts_->by_class(*kind, sender, recipient, domain);
    if (!out)
        return out;
    auto special = parts_->by_transport_maps(recipient, domain);
    if (!special)
        return tl::make_unexpected(special.error());
    if (*special) {
        // What is empty stays as it was; but a transport without a nexthop goes to the recipient's domain.
        if (!(*special)->transport.empty()) {
            out->transport = (*special)->transport;
            out->nexthop = domain;
        }
        if (!(*special)->nexthop.empty())
            out->nexthop = (*special)->nexthop;
    }
    return out;
}

} // namespace mta::rewrite
