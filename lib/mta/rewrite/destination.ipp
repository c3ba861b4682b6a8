#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include <mta/address/domain_name.hpp>
#include <mta/address/parts.hpp>
#include <mta/rewrite/destination.hpp>

namespace mta::rewrite {
namespace {

bool is_ascii(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x80;
}

// "192.0.2.1" → "[192.0.2.1]"; nullopt for what is no address.
std::optional<std::string> as_literal(const std::string& domain) {
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, domain.c_str(), bytes) == 1)
        return "[" + domain + "]";
    if (::inet_pton(AF_INET6, domain.c_str(), bytes) == 1)
        return "[IPv6:" + domain + "]";
    return std::nullopt;
}

// One final dot only says that the domain is complete.
void drop_final_dot(std::string& address) {
    const auto size = address.size();
    if (size > 1 && address.back() == '.' && address.find('@') != std::string::npos &&
        address[size - 2] != '.' && address[size - 2] != '@')
        address.pop_back();
}

} // namespace

destination_finder::destination_finder(const config::configuration& cfg, domain_classes domains)
    : domains_(std::move(domains)), rewriter_(cfg), host_(cfg.text("myhostname")),
      empty_recipient_(cfg.text("empty_address_recipient")),
      swap_bangpath_(cfg.yes_no("swap_bangpath").value_or(true)),
      percent_hack_(cfg.yes_no("allow_percent_hack").value_or(true)),
      null_domain_(cfg.yes_no("resolve_null_domain").value_or(false)),
      numeric_domain_(cfg.yes_no("resolve_numeric_domain").value_or(false)),
      look_into_quotes_(cfg.yes_no("resolve_dequoted_address").value_or(true)),
      utf8_(cfg.yes_no("smtputf8_enable").value_or(true)) {}

result<destination_finder> destination_finder::open(const config::configuration& cfg) {
    auto domains = domain_classes::open(cfg);
    if (!domains)
        return tl::make_unexpected(domains.error());
    return destination_finder(cfg, std::move(*domains));
}

bool destination_finder::names_a_host(std::string_view local) const noexcept {
    return std::ranges::any_of(local, [this](char c) {
        return c == '@' || (c == '!' && swap_bangpath_) || (c == '%' && percent_hack_);
    });
}

bool destination_finder::acceptable(std::string_view domain) const {
    if (std::ranges::all_of(domain, is_ascii))
        return address::valid_domain(domain);
    if (!utf8_)
        return false;
    // An international name keeps to the rules between its other letters.
    std::string ascii(domain);
    std::ranges::replace_if(
        ascii, [](char c) { return !is_ascii(c); }, 'x');
    return address::valid_hostname(ascii);
}

result<destination> destination_finder::find(std::string_view recipient) {
    std::string address(recipient);
    std::string domain = host_;
    // Every turn takes off one "@", and completing puts one back only for a "!", a "%" or a route that goes.
    for (;;) {
        drop_final_dot(address);
        while (null_domain_ && address.ends_with('@'))
            address.pop_back();
        bool opaque = false;
        if (const auto at = address.rfind('@'); at != std::string::npos) {
            const auto last = std::string_view(address).substr(at + 1);
            if (!last.empty()) {
                auto ours = last.ends_with('.') ? result<bool>(false) : domains_.is_local(last);
                if (!ours)
                    return tl::make_unexpected(ours.error());
                if (!*ours) {
                    domain = last;
                    address.resize(at);
                    break;
                }
            }
            opaque = !look_into_quotes_ && address::needs_quotes(std::string_view(address).substr(0, at));
            domain = last;
            address.resize(at);
        }
        if (opaque || !names_a_host(address)) {
            if (address.empty())
                address = empty_recipient_;
            break;
        }
        address = rewriter_.local(address);
    }
    if (numeric_domain_)
        if (auto literal = as_literal(domain))
            domain = std::move(*literal);

    destination out;
    out.routed = address.find_first_of("@!%") != std::string::npos;
    out.recipient = address + "@" + domain;
    out.malformed = !acceptable(domain);
    if (!out.malformed) {
        auto kind = domains_.classify(domain);
        if (!kind)
            return tl::make_unexpected(kind.error());
        out.kind = *kind;
    }
    return out;
}

} // namespace mta::rewrite
