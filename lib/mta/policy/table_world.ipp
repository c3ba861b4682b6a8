#include <optional>

#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/policy/world.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/recipient_check.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/table/match_list.hpp>

namespace mta::policy {

namespace {

using rewrite::address_class;

class table_world final : public world {
public:
    table_world(const config::configuration& cfg, table::match_list networks, rewrite::domain_classes classes,
                rewrite::recipient_check recipients)
        : rewriter_(cfg), networks_(std::move(networks)), classes_(std::move(classes)),
          recipients_(std::move(recipients)) {}

    result<bool> in_mynetworks(std::string_view name, std::string_view address) override {
        return networks_.matches_host(name, address);
    }

    result<bool> is_our_destination(std::string_view recipient) override {
        const std::string whole = complete(recipient);
        const auto kind = classes_.classify(address::split_address(whole).domain);
        if (!kind)
            return failure(kind.error());
        return *kind != address_class::other && !routed(recipient);
    }

    result<std::optional<unknown_user>> unlisted(std::string_view address) override {
        // What asks for a further hop is not in our tables.
        if (routed(address))
            return std::nullopt;
        auto answer = recipients_.check(complete(address));
        if (!answer)
            return failure(std::move(answer.error()));
        if (answer->known)
            return std::nullopt;
        return unknown_user{std::move(answer->text), answer->code};
    }

private:
    [[nodiscard]] std::string complete(std::string_view address) const {
        std::string out = rewriter_.local(address);
        if (out.ends_with('.') && out.find('@') != std::string::npos)
            out.pop_back();
        return out;
    }

    // "x%there@here", "there!x@here", "\"x@there\"@here": the local part names another host.
    static bool routed(std::string_view address) {
        const auto parts = address::split_address(address);
        return parts.has_domain && parts.local.find_first_of("@%!") != std::string_view::npos;
    }

    rewrite::rewriter rewriter_;
    table::match_list networks_;
    rewrite::domain_classes classes_;
    rewrite::recipient_check recipients_;
};

} // namespace

result<std::unique_ptr<world>> open_world(const config::configuration& cfg) {
    auto networks = table::match_list::open("mynetworks", cfg[param::mynetworks],
                                            rewrite::parent_style_of(cfg, "mynetworks"));
    if (!networks)
        return failure(std::move(networks.error()));
    auto classes = rewrite::domain_classes::open(cfg);
    if (!classes)
        return failure(std::move(classes.error()));
    auto recipients = rewrite::recipient_check::open(cfg);
    if (!recipients)
        return failure(std::move(recipients.error()));
    return std::make_unique<table_world>(cfg, std::move(*networks), std::move(*classes),
                                         std::move(*recipients));
}

} // namespace mta::policy
