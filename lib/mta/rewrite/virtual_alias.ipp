#include <algorithm>
#include <set>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/address_words.hpp>
#include <mta/rewrite/virtual_alias.hpp>
#include <mta/table/address_lookup.hpp>

namespace mta::rewrite {

virtual_alias::virtual_alias(const config::configuration& cfg, domain_classes domains)
    : domains_(std::move(domains)), rewriter_(cfg), delimiter_(cfg.text("recipient_delimiter")),
      expansion_limit_(static_cast<std::size_t>(cfg.number("virtual_alias_expansion_limit").value_or(1000))),
      recursion_limit_(static_cast<std::size_t>(cfg.number("virtual_alias_recursion_limit").value_or(1000))),
      length_limit_(static_cast<std::size_t>(cfg.number("virtual_alias_address_length_limit").value_or(1000))),
      propagate_(cfg.text("propagate_unmatched_extensions").find("virtual") != std::string::npos) {}

result<virtual_alias> virtual_alias::open(const config::configuration& cfg) {
    auto domains = domain_classes::open(cfg);
    if (!domains)
        return tl::make_unexpected(domains.error());
    virtual_alias out(cfg, std::move(*domains));
    auto tables = table::maps::open("virtual_alias_maps", config::split_list(cfg.text("virtual_alias_maps")));
    if (!tables)
        return tl::make_unexpected(tables.error());
    out.tables_ = std::move(*tables);
    return out;
}

// One lookup: what the table says about address, nullopt when nothing.
result<std::optional<std::vector<std::string>>> virtual_alias::step(std::string_view address) {
    table::address_lookup_options options;
    options.recipient_delimiter = delimiter_;
    options.is_ours = [this](std::string_view domain) { return domains_.is_local(domain); };
    auto found = table::find_address(tables_, address, options);
    if (!found)
        return tl::make_unexpected(found.error());
    if (!*found)
        return std::nullopt;
    const auto& extension = (*found)->unmatched_extension;
    std::vector<std::string> out;
    for (auto& word : parse_address_words((*found)->value)) {
        // "@domain @other": the user part is kept.
        std::string target = word;
        if (target.starts_with('@') && (*found)->by_domain)
            target = std::string(address.substr(0, address.rfind('@'))) + target;
        else if (propagate_ && !extension.empty())
            target = add_extension(target, extension);
        out.push_back(rewriter_.local(target));
    }
    return out;
}

result<bool> virtual_alias::knows(std::string_view address) {
    if (empty())
        return false;
    auto found = step(address);
    if (!found)
        return tl::make_unexpected(found.error());
    return found->has_value();
}

result<std::vector<std::string>> virtual_alias::expand(std::string_view address) {
    std::vector<std::string> done;
    if (empty())
        return std::vector<std::string>{std::string(address)};
    struct pending {
        std::string address;
        std::size_t depth;
    };
    std::vector<pending> work{{std::string(address), 0}};
    std::set<std::string> expanded; // an address that comes back stands for itself
    while (!work.empty()) {
        auto one = std::move(work.back());
        work.pop_back();
        if (one.address.size() > length_limit_)
            return fail(errc::too_large, "unreasonable virtual_alias_maps map expansion size for " +
                                             std::string(address) + " -- message not accepted, try again later");
        if (one.depth > recursion_limit_)
            return fail(errc::too_large, "unreasonable virtual_alias_maps map nesting for " + std::string(address) +
                                             " -- message not accepted, try again later");
        std::optional<std::vector<std::string>> targets;
        if (expanded.insert(lower(one.address)).second) {
            auto found = step(one.address);
            if (!found)
                return tl::make_unexpected(found.error());
            targets = std::move(*found);
        }
        if (!targets) {
            if (std::ranges::find(done, one.address) == done.end())
                done.push_back(std::move(one.address));
            continue;
        }
        if (done.size() + work.size() + targets->size() > expansion_limit_)
            return fail(errc::too_large, "unreasonable virtual_alias_maps map expansion size for " +
                                             std::string(address) + " -- message not accepted, try again later");
        for (auto it = targets->rbegin(); it != targets->rend(); ++it)
            work.push_back({std::move(*it), one.depth + 1});
    }
    return done;
}

} // namespace mta::rewrite
