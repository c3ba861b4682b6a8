#include <optional>

#include <mta/config/configuration.hpp>
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
    table_world(const config::configuration& cfg, table::match_list networks, rewrite::router router,
                rewrite::recipient_check recipients)
        : rewriter_(cfg), networks_(std::move(networks)), router_(std::move(router)),
          recipients_(std::move(recipients)), untrusted_routing_(cfg[param::allow_untrusted_routing]) {}

    result<bool> in_mynetworks(std::string_view name, std::string_view address) override {
        return networks_.matches_host(name, address);
    }

    result<bool> is_our_destination(std::string_view sender, std::string_view recipient) override {
        const auto where = router_.resolve(sender, rewriter_.local(recipient));
        if (!where)
            return failure(where.error());
        // A host that takes our mail may obey the order in the local part, and we would be its open relay.
        if (where->routed && !untrusted_routing_)
            return false;
        return where->kind != address_class::other;
    }

    result<std::optional<unknown_user>> unlisted(address_role role, std::string_view from,
                                                 std::string_view address) override {
        const auto where = router_.resolve(from, rewriter_.local(address));
        if (!where)
            return failure(where.error());
        auto answer = recipients_.check(*where, role == address_role::sender);
        if (!answer)
            return failure(std::move(answer.error()));
        if (answer->known)
            return std::nullopt;
        return unknown_user{std::move(answer->text), answer->code};
    }

private:
    rewrite::rewriter rewriter_;
    table::match_list networks_;
    rewrite::router router_;
    rewrite::recipient_check recipients_;
    bool untrusted_routing_;
};

} // namespace

result<std::unique_ptr<world>> open_world(const config::configuration& cfg) {
    auto networks = table::match_list::open("mynetworks", cfg[param::mynetworks],
                                            rewrite::parent_style_of(cfg, "mynetworks"));
    if (!networks)
        return failure(std::move(networks.error()));
    auto router = rewrite::router::open(cfg);
    if (!router)
        return failure(std::move(router.error()));
    auto recipients = rewrite::recipient_check::open(cfg);
    if (!recipients)
        return failure(std::move(recipients.error()));
    return std::make_unique<table_world>(cfg, std::move(*networks), std::move(*router),
                                         std::move(*recipients));
}

} // namespace mta::policy
