// What main.cf (and the -o options of one master.cf line) says about sending by SMTP, read once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/net/asio.hpp>
#include <mta/net/socket_address.hpp>

namespace mta::daemon {

struct smtp_settings {
    std::string helo_name, my_hostname;
    std::string default_port; // smtp_tcp_port
    std::string tls_level;    // empty counts as none
    std::string address_preference;
    std::vector<std::string> fallback_relays;
    std::vector<std::string> cached_destinations;
    std::vector<std::string> discard_keywords;
    std::vector<net::ip_address> own_addresses; // for loop detection
    std::optional<net::ip_address> bind4, bind6;
    bool use_v4 = true, use_v6 = true;
    bool use_hosts_file = false; // smtp_host_lookup has "native"
    bool randomize = true;
    bool limit_whole_reply = false; // smtp_per_request_deadline: a time limit is for a reply, not for each read of it
    bool defer_without_mx_address = false;
    bool ignore_mx_errors = false;
    bool skip_5xx_greeting = true;
    bool never_ehlo = false;
    bool cache_on_demand = true;
    std::size_t address_limit = 5;
    std::size_t session_limit = 2;
    std::size_t line_limit = 998;
    int delay_decimals = 2;
    long long reuse_count_limit = 0;
    net::milliseconds connect{}, helo{}, mail{}, rcpt{}, data_init{}, data_transfer{}, data_done{}, quit{}, rset{};
    net::milliseconds cache_time{}, reuse_time{};
    std::vector<net::socket_address> dns_servers;
};

// Errors: a value that cannot be used, in words for the log.
[[nodiscard]] result<smtp_settings> read_smtp_settings(const config::configuration& cfg);

} // namespace mta::daemon
