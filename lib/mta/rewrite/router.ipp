#include <optional>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/destination.hpp>
#include <mta/rewrite/router.hpp>
#include <mta/table/address_lookup.hpp>
#include <mta/table/maps.hpp>

namespace mta::rewrite {
namespace {

result<table::maps> open_maps(const config::configuration& cfg, const char* name) {
    return table::maps::open(name, config::split_list(cfg.text(name)));
}

// "transport:nexthop" where either side may be missing.
struct service {
    std::string transport;
    std::string nexthop;
};
service split_service(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return {std::string(text), {}};
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

const char* transport_parameter(address_class kind) {
    switch (kind) {
    case address_class::local:
        return "local_transport";
    case address_class::virtual_mailbox:
        return "virtual_transport";
    case address_class::relay:
        return "relay_transport";
    case address_class::virtual_alias:
    case address_class::other:
        break;
    }
    return "default_transport";
}

} // namespace

struct router::parts {
    parts(const config::configuration& configured, destination_finder opened)
        : cfg(configured), destinations(std::move(opened)), relayhost(cfg.text("relayhost")),
          delimiter(cfg.text("recipient_delimiter")),
          null_relayhost_key(cfg.text("empty_address_relayhost_maps_lookup_key")),
          null_transport_key(cfg.text("empty_address_default_transport_maps_lookup_key")),
          minus_in_front(cfg.yes_no("allow_min_user").value_or(false)) {}

    result<route> by_class(const destination& to, std::string_view sender);
    result<void> by_transport_maps(route& out, const destination& to);
    result<void> by_relocated_maps(route& out);
    result<std::optional<std::string>> by_sender(table::maps& tables, std::string_view sender,
                                                 std::string_view null_key) const;

    config::configuration cfg;
    destination_finder destinations;
    table::maps transports;
    table::maps sender_relayhosts;
    table::maps sender_transports;
    table::maps relocated;
    std::string relayhost;
    std::string delimiter;
    std::string null_relayhost_key;
    std::string null_transport_key;
    bool minus_in_front;
};

router::router(std::unique_ptr<parts> opened) : parts_(std::move(opened)) {}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

result<router> router::open(const config::configuration& cfg) {
    auto destinations = destination_finder::open(cfg);
    if (!destinations)
        return tl::make_unexpected(destinations.error());
    auto opened = std::make_unique<parts>(cfg, std::move(*destinations));
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

// user+ext@domain, user@domain, "@domain".
result<std::optional<std::string>> router::parts::by_sender(table::maps& tables, std::string_view sender,
                                                            std::string_view null_key) const {
    if (tables.empty())
        return std::nullopt;
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter;
    options.bare_user = false;
    auto found = table::find_address(tables, sender.empty() ? null_key : sender, options);
    if (!found)
        return tl::make_unexpected(found.error());
    if (!*found || iequals((*found)->value, "DUNNO"))
        return std::nullopt;
    return std::move((*found)->value);
}

result<route> router::parts::by_class(const destination& to, std::string_view sender) {
    route out;
    out.kind = to.kind;
    out.recipient = to.recipient;
    out.routed = to.routed;
    if (to.kind == address_class::virtual_alias) {
        // Such a domain has no mailboxes: whoever still has its address is unknown.
        out.transport = "error";
        out.nexthop = cfg.yes_no("show_user_unknown_table_name").value_or(true)
                          ? "5.1.1 User unknown in virtual alias table"
                          : "5.1.1 User unknown";
        return out;
    }
    std::string chosen = cfg.text(transport_parameter(to.kind));
    out.nexthop = to.domain();
    if (to.kind == address_class::other) {
        auto special = by_sender(sender_transports, sender, null_transport_key);
        if (!special)
            return tl::make_unexpected(special.error());
        if (*special)
            chosen = std::move(**special);
    }
    if (to.kind == address_class::relay || to.kind == address_class::other) {
        auto special = by_sender(sender_relayhosts, sender, null_relayhost_key);
        if (!special)
            return tl::make_unexpected(special.error());
        const std::string& relay = *special ? **special : relayhost;
        if (!relay.empty())
            out.nexthop = relay;
    }
    auto there = split_service(chosen);
    out.transport = std::move(there.transport);
    if (!there.nexthop.empty())
        out.nexthop = std::move(there.nexthop);
    return out;
}

// user+ext@domain, user@domain, domain, .parent …, "*" (transport(5)).
result<void> router::parts::by_transport_maps(route& out, const destination& to) {
    // A user that no alias knows is no more known on another way.
    if (transports.empty() || to.kind == address_class::virtual_alias)
        return {};
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter;
    options.bare_user = false;
    options.at_domain = false;
    options.plain_domain = true;
    options.parents = parent_style_of(cfg, "transport_maps");
    auto found = table::find_address(transports, to.recipient, options);
    if (!found)
        return tl::make_unexpected(found.error());
    std::optional<std::string> value;
    if (*found)
        value = std::move((*found)->value);
    else if (auto rest = transports.find("*"); !rest)
        return tl::make_unexpected(rest.error());
    else
        value = std::move(*rest);
    if (!value)
        return {};
    // What is empty stays as it was; but a transport without a nexthop goes to the recipient's domain.
    auto there = split_service(*value);
    if (!there.transport.empty()) {
        out.transport = std::move(there.transport);
        out.nexthop = to.domain();
    }
    if (!there.nexthop.empty())
        out.nexthop = std::move(there.nexthop);
    return {};
}

result<void> router::parts::by_relocated_maps(route& out) {
    if (relocated.empty())
        return {};
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter;
    options.is_ours = [this](std::string_view name) { return destinations.domains().has_bare_users(name); };
    auto moved = table::find_address(relocated, out.recipient, options);
    if (!moved)
        return tl::make_unexpected(moved.error());
    if (*moved) {
        out.transport = "error";
        out.nexthop = "5.1.6 User has moved to " + (*moved)->value;
    }
    return {};
}

result<route> router::resolve(std::string_view sender, std::string_view recipient) {
    auto& p = *parts_;
    const auto to = p.destinations.find(recipient);
    if (!to)
        return tl::make_unexpected(to.error());
    constexpr const char* complaint = "5.1.3 bad address syntax";
    if (to->malformed)
        return route{"error", complaint, to->recipient, to->kind, true, to->routed};
    auto out = p.by_class(*to, sender);
    if (!out)
        return out;
    if (auto done = p.by_transport_maps(*out, *to); !done)
        return tl::make_unexpected(done.error());
    if (auto done = p.by_relocated_maps(*out); !done)
        return tl::make_unexpected(done.error());
    // A command may take it for an option.
    if (!p.minus_in_front && out->recipient.starts_with('-')) {
        out->malformed = true;
        out->transport = "error";
        out->nexthop = complaint;
    }
    return out;
}

} // namespace mta::rewrite
