// The names of SMTP clients (smtpd_peername_lookup): what an address points to, when that name points back.
//
// A client that connects again within seconds costs no questions.
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

#include <mta/net/asio.hpp>
#include <mta/net/dns.hpp>

namespace mta::daemon {

struct client_name {
    std::string name = "unknown";
    std::string reverse = "unknown"; // what the address points to, verified or not
    bool trouble = false;            // DNS could not tell: the name may be known later
    std::string remark;              // for the log
};

class client_names {
public:
    explicit client_names(net::resolver resolver) : resolver_(std::move(resolver)) {}

    // The object has to outlive the wait.
    [[nodiscard]] boost::asio::awaitable<client_name> find(net::ip_address address);

private:
    struct entry {
        client_name known;
        std::chrono::steady_clock::time_point until;
    };
    net::resolver resolver_;
    std::unordered_map<std::string, entry> recent_; // by address
};

} // namespace mta::daemon
