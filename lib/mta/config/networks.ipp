// Bodies of networks.hpp.
#include <mta/config/networks.hpp>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

inline int prefix_of(const sockaddr* mask, bool ipv6) noexcept {
    if (mask == nullptr)
        return ipv6 ? 128 : 32;
    int bits = 0;
    if (ipv6) {
        sockaddr_in6 address{};
        std::memcpy(&address, mask, sizeof address);
        for (const auto byte : address.sin6_addr.s6_addr)
            bits += std::popcount(byte);
    } else {
        sockaddr_in address{};
        std::memcpy(&address, mask, sizeof address);
        bits = std::popcount(address.sin_addr.s_addr);
    }
    return bits;
}

// address with everything behind the first `prefix` bits cleared, as text.
inline std::string network_text(const interface_address& entry, int prefix) {
    std::array<unsigned char, 16> bytes{};
    const int family = entry.ipv6 ? AF_INET6 : AF_INET;
    const std::size_t size = entry.ipv6 ? 16 : 4;
    if (inet_pton(family, entry.address.c_str(), bytes.data()) != 1)
        return {};
    for (std::size_t i = 0; i < size; ++i) {
        const int keep = std::clamp(prefix - static_cast<int>(i) * 8, 0, 8);
        bytes[i] = static_cast<unsigned char>(bytes[i] & (0xFF00U >> static_cast<unsigned>(keep)));
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (inet_ntop(family, bytes.data(), text.data(), static_cast<socklen_t>(text.size())) == nullptr)
        return {};
    const std::string name(text.data());
    return (entry.ipv6 ? "[" + name + "]" : name) + "/" + std::to_string(prefix);
}

// The network class of old (RFC 791): the first bits of the address say how long the network part is.
inline int class_prefix(const interface_address& entry) {
    if (entry.ipv6)
        return entry.prefix;
    in_addr address{};
    if (inet_pton(AF_INET, entry.address.c_str(), &address) != 1)
        return entry.prefix;
    const auto first = ntohl(address.s_addr) >> 24U;
    return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

} // namespace detail

result<std::vector<interface_address>> interface_addresses(const std::vector<std::string>& want) {
    const auto wants = [&](std::string_view protocol) {
        return std::any_of(want.begin(), want.end(),
                           [&](const std::string& word) { return iequals(word, protocol) || iequals(word, "all"); });
    };
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0)
        return fail_errno("list network interfaces");
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
    std::vector<interface_address> out;
    for (const bool ipv6 : {false, true}) {
        if (!wants(ipv6 ? "ipv6" : "ipv4"))
            continue;
        for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
            if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != (ipv6 ? AF_INET6 : AF_INET) ||
                (entry->ifa_flags & IFF_UP) == 0)
                continue;
            std::array<char, INET6_ADDRSTRLEN> text{};
            const void* bytes = nullptr;
            sockaddr_in v4{};
            sockaddr_in6 v6{};
            if (ipv6) {
                std::memcpy(&v6, entry->ifa_addr, sizeof v6);
                bytes = &v6.sin6_addr;
            } else {
                std::memcpy(&v4, entry->ifa_addr, sizeof v4);
                bytes = &v4.sin_addr;
            }
            if (inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes, text.data(), static_cast<socklen_t>(text.size())) != nullptr)
                out.push_back({text.data(), detail::prefix_of(entry->ifa_netmask, ipv6), ipv6});
        }
    }
    return out;
}

std::string networks_for(std::string_view style, const std::vector<interface_address>& addresses) {
    std::vector<std::string> out;
    for (const auto& entry : addresses) {
        const int prefix = iequals(style, "host")    ? (entry.ipv6 ? 128 : 32)
                           : iequals(style, "class") ? detail::class_prefix(entry)
                                                     : entry.prefix;
        auto text = detail::network_text(entry, prefix);
        if (!text.empty() && std::find(out.begin(), out.end(), text) == out.end())
            out.push_back(std::move(text));
    }
    return join(out, " ");
}

std::string own_networks(std::string_view style, const std::vector<std::string>& interfaces,
                         const std::vector<std::string>& protocols) {
    auto addresses = interface_addresses(protocols);
    if (!addresses)
        return {};
    const auto listed = [&](std::string_view word) {
        return std::find(interfaces.begin(), interfaces.end(), word) != interfaces.end();
    };
    if (!listed("all"))
        std::erase_if(*addresses, [&](const interface_address& entry) {
            const bool loopback = entry.address.starts_with("127.") || entry.address == "::1";
            return !(loopback && listed("loopback-only")) && !listed(entry.address) &&
                   !listed("[" + entry.address + "]") && !(loopback && listed("localhost"));
        });
    return networks_for(style, *addresses);
}

} // namespace mta::config
