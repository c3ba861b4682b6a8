#include <mta/address/parts.hpp>
#include <mta/table/address_lookup.hpp>

namespace mta::table {
namespace {

struct attempt {
    std::string key;
    bool leaves_extension = false;
    bool by_domain = false;
};

// The domain, then its parents, for as long as there is one.
void add_domains(std::vector<attempt>& attempts, std::string_view domain, parent_style parents) {
    attempts.push_back({std::string(domain), true, true});
    if (domain.front() == '[')
        return;
    for (auto dot = domain.find('.', 1); dot != std::string_view::npos; dot = domain.find('.', dot + 1))
        attempts.push_back(
            {std::string(domain.substr(parents == parent_style::subdomains ? dot + 1 : dot)), true, true});
}

result<std::optional<std::string>> find_key(maps& tables, const attempt& one, maps::key_kind kind) {
    std::string storage;
    const std::string_view quoted = one.by_domain ? one.key : address::quoted_view(one.key, storage);
    auto found = tables.find(quoted, kind);
    if (!found || *found || quoted == one.key)
        return found;
    return tables.find(one.key, kind);
}

} // namespace

result<std::optional<address_match>> find_address(maps& tables, std::string_view address,
                                                  const address_lookup_options& options) {
    const auto parts = address::split_address(address);
    const auto local = address::split_extension(parts.local, options.recipient_delimiter);
    const std::string extension =
        local.extension ? std::string(parts.local.substr(local.user.size())) : std::string();
    const std::string domain = parts.has_domain ? "@" + std::string(parts.domain) : std::string();

    std::vector<attempt> attempts{{std::string(address)}};
    if (!extension.empty() && parts.has_domain)
        attempts.push_back({std::string(local.user) + domain, true});
    bool ours = !parts.has_domain;
    if (options.bare_user && parts.has_domain && options.is_ours) {
        auto known = options.is_ours(parts.domain);
        if (!known)
            return tl::make_unexpected(known.error());
        ours = *known;
    }
    if (options.bare_user && ours) {
        if (parts.has_domain)
            attempts.push_back({std::string(parts.local)});
        if (!extension.empty())
            attempts.push_back({std::string(local.user), true});
    }
    if (options.at_domain && parts.has_domain)
        attempts.push_back({domain, true, true});

    if (options.plain_domain && parts.has_domain && !parts.domain.empty())
        add_domains(attempts, parts.domain, options.parents);

    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const auto& one = attempts[i];
        auto found = find_key(tables, one, i == 0 ? maps::key_kind::whole : maps::key_kind::part);
        if (!found)
            return tl::make_unexpected(found.error());
        if (*found)
            return address_match{std::move(**found), one.leaves_extension ? extension : std::string(),
                                 one.by_domain};
    }
    return std::nullopt;
}

} // namespace mta::table
