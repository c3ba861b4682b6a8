// The host's own addresses and networks, from which mynetworks gets its default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {

struct interface_address {
    std::string address; // "127.0.0.1", "::1"
    int prefix = 0;      // length of its network mask
    bool ipv6 = false;
};

// Addresses of the interfaces that are up. want is inet_protocols: "all", "ipv4", "ipv6" or a list.
[[nodiscard]] result<std::vector<interface_address>> interface_addresses(const std::vector<std::string>& want);

// mynetworks for a style (host, subnet, class) over these addresses: "127.0.0.0/8 [::1]/128".
[[nodiscard]] std::string networks_for(std::string_view style, const std::vector<interface_address>& addresses);

// The same over the host's addresses that inet_interfaces (with all, loopback-only, localhost) and inet_protocols name;
// "" when the host does not tell them.
[[nodiscard]] std::string own_networks(std::string_view style, const std::vector<std::string>& interfaces,
                                       const std::vector<std::string>& protocols);

} // namespace mta::config
