// Where mail for a nexthop goes: addresses in the order in which they are tried.
//
// "[host]:port", "[address]:port", "host:port" (MX lookup), and without a port smtp_tcp_port. "host" alone may also
// be a literal address. MX hosts come by preference, equal ones in random order; hosts at or behind this system in
// preference are left out when mail goes to the SMTP port (otherwise it could loop).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/net/dns.hpp>

#include "smtp_settings.hpp"

namespace mta::daemon {

struct smtp_target {
    std::string host;
    net::ip_address address;
    std::uint16_t port = 25;
    int preference = 0;

    [[nodiscard]] std::string name() const { return host + "[" + address.text() + "]"; }
    [[nodiscard]] std::string name_port() const { return name() + ":" + std::to_string(port); }
};

struct smtp_target_list {
    std::vector<smtp_target> targets;
    // Without targets: why.
    bool hard = false;
    std::string dsn;
    std::string reason;
    std::string warning; // for the log, beside the reason
    bool loop_detection = false; // the SMTP port: own addresses and own greetings matter
};

[[nodiscard]] net::awaitable<smtp_target_list> find_targets(net::resolver& dns, const smtp_settings& settings,
                                                            std::string nexthop);

} // namespace mta::daemon
