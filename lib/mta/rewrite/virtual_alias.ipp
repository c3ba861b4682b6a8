#include <iterator>
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
    options.is_ours = [this](std::string_view domain) { return domains_.has_bare_users(domain); };
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

// The first target takes its alias's place, the others go to the end of the list: the order that people see in the
// queue is the reference's.
result<std::vector<std::string>> virtual_alias::expand(std::string_view address) {
    std::vector<std::string> list{std::string(address)};
    if (empty())
        return list;
    const auto unreasonable = [&](const char* what) {
        return fail(errc::too_large, std::string("unreasonable virtual_alias_maps map ") + what + " for " +
                                         std::string(address) + " -- message not accepted, try again later");
    };
    std::set<std::string> begun; // an address that comes back stands for itself
    for (std::size_t at = 0; at < list.size(); ++at) {
        if (!begun.insert(lower(list[at])).second)
            continue;
        for (std::size_t depth = 0;; ++depth) {
            if (depth >= recursion_limit_)
                return unreasonable("nesting");
            if (list[at].size() > length_limit_)
                return unreasonable("address length");
            auto targets = step(list[at]);
            if (!targets)
                return tl::make_unexpected(targets.error());
            if (!*targets || (*targets)->empty())
                break;
            if (list.size() + (*targets)->size() - 1 > expansion_limit_)
                return unreasonable("expansion size");
            const bool keeps_copy = iequals((*targets)->front(), list[at]);
            list[at] = std::move((*targets)->front());
            std::move((*targets)->begin() + 1, (*targets)->end(), std::back_inserter(list));
            if (keeps_copy)
                break;
        }
    }
    return list;
}

} // namespace mta::rewrite
