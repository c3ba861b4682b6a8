#include <optional>

#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/legacy_default.hpp>
#include <mta/policy/world.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/recipient_check.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/rewrite/router.hpp>
#include <mta/table/match_list.hpp>

namespace mta::policy {

namespace {

using rewrite::address_class;

// Every answer about an address starts from its route, the one that the mail will take: what stands behind
// the last "@" may hide another host.
class table_world final : public world {
public:
    // host_network: mynetworks as mynetworks_style=host would have it, where it is a legacy default that it is more.
    table_world(const config::configuration& cfg, table::match_list networks,
                std::optional<table::match_list> host_network, rewrite::router router,
                rewrite::recipient_check recipients)
        : rewriter_(cfg), networks_(std::move(networks)), host_network_(std::move(host_network)),
          router_(std::move(router)), recipients_(std::move(recipients)),
          untrusted_routing_(cfg[param::allow_untrusted_routing]),
          legacy_relay_domains_(config::has_legacy_default(cfg, "relay_domains", "2")) {}

    result<bool> in_mynetworks(std::string_view name, std::string_view address, notes& said) override {
        auto inside = networks_.matches_host(name, address);
        if (inside && *inside && host_network_)
            if (const auto anyway = host_network_->matches_host(name, address); anyway && !*anyway)
                note(said, "mynetworks_style=subnet",
                     "permit request from client \"" + std::string(name) + "[" + std::string(address) + "]\"");
        return inside;
    }

    result<bool> is_our_destination(std::string_view sender, std::string_view recipient, notes& said) override {
        const auto where = router_.resolve(sender, rewriter_.local(recipient));
        if (!where)
            return failure(where.error());
        // A host that takes our mail may obey the order in the local part, and we would be its open relay.
        if (where->routed && !untrusted_routing_)
            return false;
        if (where->kind == address_class::relay && legacy_relay_domains_)
            note(said, "relay_domains=$mydestination",
                 "accept mail for domain \"" + std::string(address::split_address(recipient).domain) + "\"");
        return where->kind != address_class::other;
    }

    result<std::optional<unknown_user>> unlisted(address_role role, std::string_view from,
                                                 std::string_view address, notes& said) override {
        const auto where = router_.resolve(from, rewriter_.local(address));
        if (!where)
            return failure(where.error());
        auto answer = recipients_.check(*where, role == address_role::sender);
        if (!answer)
            return failure(std::move(answer.error()));
        if (answer->known) {
            if (where->kind == address_class::relay && legacy_relay_domains_ && role == address_role::recipient)
                note(said, "relay_domains=$mydestination", "accept mail for address \"" + std::string(address) + "\"");
            return std::nullopt;
        }
        return unknown_user{std::move(answer->text), answer->code};
    }

private:
    static void note(notes& said, std::string_view setting, const std::string& purpose) {
        said.push_back(config::legacy_default_note(setting, purpose));
    }

    rewrite::rewriter rewriter_;
    table::match_list networks_;
    std::optional<table::match_list> host_network_;
    rewrite::router router_;
    rewrite::recipient_check recipients_;
    bool untrusted_routing_;
    bool legacy_relay_domains_;
};

} // namespace

result<std::unique_ptr<world>> open_world(const config::configuration& cfg) {
    const auto open_networks = [](const config::configuration& from) {
        return table::match_list::open("mynetworks", from[param::mynetworks],
                                       rewrite::parent_style_of(from, "mynetworks"));
    };
    auto networks = open_networks(cfg);
    if (!networks)
        return failure(std::move(networks.error()));
    std::optional<table::match_list> host_network;
    if (!cfg.is_set("mynetworks") && config::has_legacy_default(cfg, "mynetworks_style", "2")) {
        auto opened = open_networks(cfg.with_overrides({{"mynetworks_style", "host"}}));
        if (!opened)
            return failure(std::move(opened.error()));
        host_network = std::move(*opened);
    }
    auto router = rewrite::router::open(cfg);
    if (!router)
        return failure(std::move(router.error()));
    auto recipients = rewrite::recipient_check::open(cfg);
    if (!recipients)
        return failure(std::move(recipients.error()));
    return std::make_unique<table_world>(cfg, std::move(*networks), std::move(host_network), std::move(*router),
                                         std::move(*recipients));
}

} // namespace mta::policy
