#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/address_words.hpp>
#include <mta/rewrite/canonical.hpp>

namespace mta::rewrite {
namespace {

constexpr int most_rounds = 10;
constexpr std::string_view use_names[] = {"envelope_sender", "envelope_recipient", "header_sender",
                                          "header_recipient"};

unsigned bit(address_use use) { return 1U << static_cast<unsigned>(use); }

} // namespace

canonical::canonical(const config::configuration& cfg, domain_classes domains)
    : domains_(std::move(domains)), rewriter_(cfg), delimiter_(cfg.text("recipient_delimiter")),
      propagate_(cfg.text("propagate_unmatched_extensions").find("canonical") != std::string::npos) {}

result<canonical> canonical::open(const config::configuration& cfg) {
    auto domains = domain_classes::open(cfg);
    if (!domains)
        return tl::make_unexpected(domains.error());
    canonical out(cfg, std::move(*domains));
    const auto one = [&](layer& into, const char* maps, const char* classes) -> result<void> {
        auto tables = table::maps::open(maps, config::split_list(cfg.text(maps)));
        if (!tables)
            return tl::make_unexpected(tables.error());
        into.tables = std::move(*tables);
        for (const auto& word : config::split_list(cfg.text(classes))) {
            bool known = false;
            for (unsigned i = 0; i < 4; ++i)
                if (word == use_names[i]) {
                    into.uses |= 1U << i;
                    known = true;
                }
            if (!known)
                return fail(errc::malformed, std::string("unknown ") + classes + " value \"" + word + "\"");
        }
        return {};
    };
    for (auto [into, maps, classes] :
         {std::tuple{&out.sender_, "sender_canonical_maps", "sender_canonical_classes"},
          {&out.recipient_, "recipient_canonical_maps", "recipient_canonical_classes"},
          {&out.all_, "canonical_maps", "canonical_classes"}})
        if (auto opened = one(*into, maps, classes); !opened)
            return tl::make_unexpected(opened.error());
    return out;
}

bool canonical::applies(address_use use) const noexcept {
    for (const auto* one : {&sender_, &recipient_, &all_})
        if (!one->tables.empty() && (one->uses & bit(use)) != 0)
            return true;
    return false;
}

result<std::optional<table::address_match>> canonical::find(table::maps& tables, std::string_view address) {
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter_;
    options.is_ours = [this](std::string_view domain) { return domains_.has_bare_users(domain); };
    return table::find_address(tables, address, options);
}

result<bool> canonical::knows(std::string_view address, bool sender) {
    for (auto* one : {&recipient_, sender ? &sender_ : nullptr, &all_}) {
        if (one == nullptr || one->tables.empty())
            continue;
        auto found = find(one->tables, address);
        if (!found)
            return tl::make_unexpected(found.error());
        if (*found)
            return true;
    }
    return false;
}

result<std::string> canonical::map_in(table::maps& tables, std::string address) {
    for (int round = 0; round < most_rounds; ++round) {
        auto found = find(tables, address);
        if (!found)
            return tl::make_unexpected(found.error());
        if (!*found)
            return address;
        auto words = parse_address_words((*found)->value);
        if (words.empty())
            return address;
        std::string target = words.front();
        if (target.starts_with('@') && (*found)->by_domain)
            target = address.substr(0, address.rfind('@')) + target;
        else if (propagate_ && !(*found)->unmatched_extension.empty())
            target = add_extension(target, (*found)->unmatched_extension);
        target = rewriter_.local(target);
        if (iequals(target, address))
            return target;
        address = std::move(target);
    }
    return address;
}

result<std::string> canonical::map(std::string_view address, address_use use) {
    std::string now(address);
    // The specific tables come before the common one.
    for (auto* one : {&sender_, &recipient_, &all_}) {
        if (one->tables.empty() || (one->uses & bit(use)) == 0)
            continue;
        auto next = map_in(one->tables, std::move(now));
        if (!next)
            return next;
        now = std::move(*next);
    }
    return now;
}

} // namespace mta::rewrite
