// DNS for mail: MX, addresses and reverse names, asynchronously (c-ares on the loop's descriptors).
//
// Every answer is one of three things: found; absent (said so by an authority: no such name, or no such record);
// or an error, which is always worth asking again (errc::temporary, errc::timeout). An error is never taken for
// absent. Answers are parsed by our own bounded parser (dns_message.hpp), at most 100 records each; names that are no
// host names are dropped.
//
// Not thread-safe. One resolver per loop; any number of questions at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/net/asio.hpp>
#include <mta/net/socket_address.hpp>

namespace mta::net {

enum class dns_outcome {
    found,
    no_name,   // NXDOMAIN
    no_record, // the name exists, a record of this type does not
};

struct mx_record {
    std::uint16_t preference = 0;
    std::string host; // no trailing dot, lower case as answered; "" is the null MX (RFC 7505)
};

struct mx_answer {
    dns_outcome outcome = dns_outcome::no_name;
    std::vector<mx_record> records; // by preference, lowest first
    // RFC 7505: the domain says that it takes no mail.
    [[nodiscard]] bool null_mx() const { return records.size() == 1 && records.front().host.empty(); }
};

struct address_answer {
    dns_outcome outcome = dns_outcome::no_name;
    std::vector<ip_address> addresses;
};

struct name_answer {
    dns_outcome outcome = dns_outcome::no_name;
    std::vector<std::string> names;
};

struct text_answer {
    dns_outcome outcome = dns_outcome::no_name;
    std::vector<std::string> texts;
};

enum class address_family { any, v4, v6 };

struct resolver_options {
    std::vector<socket_address> servers; // empty: the system's (resolv.conf)
    milliseconds query_limit{5000};      // one try at one server
    int tries = 2;
    milliseconds total_limit{30000}; // one question, everything included
    bool use_hosts_file = true;      // addresses() and reverse() look at hosts_file first
    std::string hosts_file = "/etc/hosts";
};

class resolver {
public:
    resolver(boost::asio::io_context& io, resolver_options options);
    resolver(resolver&&) noexcept;
    resolver& operator=(resolver&&) noexcept;
    ~resolver();

    [[nodiscard]] awaitable<result<mx_answer>> mx(std::string name);
    // Asks for A and AAAA at once for `any`. Found when either was found; with one failed and none found, an error.
    [[nodiscard]] awaitable<result<address_answer>> addresses(std::string name,
                                                              address_family family = address_family::any);
    // PTR names of an address.
    [[nodiscard]] awaitable<result<name_answer>> reverse(ip_address address);
    [[nodiscard]] awaitable<result<text_answer>> txt(std::string name);

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

// "127.0.0.1:5353 [::1]:53" split and parsed (port 53 when none is given); the form of mtad_dns_servers.
[[nodiscard]] result<std::vector<socket_address>> parse_dns_servers(std::string_view text);

} // namespace mta::net
