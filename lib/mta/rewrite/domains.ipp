#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <tuple>

#include <mta/config/origin.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/domains.hpp>

namespace mta::rewrite {
namespace {

std::vector<std::string> words(const config::configuration& cfg, std::string_view name) {
    return config::split_list(cfg.text(name));
}

std::vector<std::string> interface_addresses() {
    std::vector<std::string> out;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0)
        return out;
    for (const auto* one = list; one != nullptr; one = one->ifa_next) {
        char text[INET6_ADDRSTRLEN] = {};
        if (one->ifa_addr == nullptr)
            continue;
        const void* bytes = nullptr;
        if (one->ifa_addr->sa_family == AF_INET)
            bytes = &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
        else if (one->ifa_addr->sa_family == AF_INET6)
            bytes = &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr;
        if (bytes != nullptr && ::inet_ntop(one->ifa_addr->sa_family, bytes, text, sizeof text) != nullptr)
            out.emplace_back(text);
    }
    ::freeifaddrs(list);
    return out;
}

// inet_interfaces and proxy_interfaces as addresses.
std::vector<std::string> own_addresses(const config::configuration& cfg) {
    auto out = words(cfg, "proxy_interfaces");
    const auto all = interface_addresses();
    for (const auto& word : words(cfg, "inet_interfaces")) {
        if (iequals(word, "all"))
            out.insert(out.end(), all.begin(), all.end());
        else if (iequals(word, "loopback-only"))
            out.insert(out.end(), {"127.0.0.1", "::1"});
        else
            out.push_back(word);
    }
    return out;
}

} // namespace

table::parent_style parent_style_of(const config::configuration& cfg, std::string_view feature) {
    const auto listed = words(cfg, "parent_domain_matches_subdomains");
    return std::ranges::find(listed, feature) != listed.end() ? table::parent_style::subdomains
                                                              : table::parent_style::exact;
}

result<domain_classes> domain_classes::open(const config::configuration& cfg) {
    domain_classes out;
    const auto one = [&](table::match_list& into, const char* name, table::parent_style style) -> result<void> {
        auto list = table::match_list::open(name, words(cfg, name), style);
        if (!list)
            return tl::make_unexpected(list.error());
        into = std::move(*list);
        return {};
    };
    // Of these only relay_domains may name subdomains by their parent.
    constexpr auto names = table::parent_style::words;
    for (auto [list, name, style] : {std::tuple{&out.local_, "mydestination", names},
                                     {&out.virtual_alias_, "virtual_alias_domains", names},
                                     {&out.virtual_mailbox_, "virtual_mailbox_domains", names},
                                     {&out.relay_, "relay_domains", parent_style_of(cfg, "relay_domains")}})
        if (auto opened = one(*list, name, style); !opened)
            return tl::make_unexpected(opened.error());
    out.own_addresses_ = own_addresses(cfg);
    out.origin_ = config::mail_origin(cfg);
    return out;
}

result<bool> domain_classes::is_local(std::string_view domain) {
    if (domain.empty())
        return true;
    auto listed = local_.matches_name(domain);
    if (!listed || *listed || domain.size() < 3 || domain.front() != '[' || domain.back() != ']')
        return listed;
    auto literal = domain.substr(1, domain.size() - 2);
    if (literal.size() > 5 && iequals(literal.substr(0, 5), "ipv6:"))
        literal.remove_prefix(5);
    return std::ranges::find(own_addresses_, literal) != own_addresses_.end();
}

result<bool> domain_classes::has_bare_users(std::string_view domain) {
    if (iequals(domain, origin_))
        return true;
    return is_local(domain);
}

result<address_class> domain_classes::classify(std::string_view domain) {
    auto own = is_local(domain);
    if (!own)
        return tl::make_unexpected(own.error());
    if (*own)
        return address_class::local;
    for (auto [list, kind] : {std::pair{&virtual_alias_, address_class::virtual_alias},
                              {&virtual_mailbox_, address_class::virtual_mailbox},
                              {&relay_, address_class::relay}}) {
        auto hit = list->matches_name(domain);
        if (!hit)
            return tl::make_unexpected(hit.error());
        if (*hit)
            return kind;
    }
    return address_class::other;
}

} // namespace mta::rewrite
