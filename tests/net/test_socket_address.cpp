#include <catch2/catch.hpp>

#include <mta/net/dns.hpp>
#include <mta/net/socket_address.hpp>

using namespace mta;
using namespace mta::net;

TEST_CASE("an address parses and prints as the mail log shows it", "[net][address]") {
    struct row {
        const char* text;
        const char* printed; // nullptr: refused
    };
    const auto r = GENERATE(row{"192.0.2.1", "192.0.2.1"}, row{"2001:DB8::1", "2001:db8::1"},
                            row{"IPv6:2001:db8::1", "2001:db8::1"}, row{"ipv6:::1", "::1"}, row{"", nullptr},
                            row{"1.2.3", nullptr}, row{"1.2.3.4.5", nullptr}, row{"256.1.1.1", nullptr},
                            row{"IPv6:1.2.3.4", nullptr}, row{"[::1]", nullptr}, row{"host", nullptr});
    CAPTURE(r.text);
    const auto address = ip_address::parse(r.text);
    REQUIRE(address.has_value() == (r.printed != nullptr));
    if (r.printed != nullptr)
        CHECK(address->text() == r.printed);
}

TEST_CASE("an address with a port parses and prints", "[net][address]") {
    struct row {
        const char* text;
        const char* printed;
    };
    const auto r = GENERATE(row{"192.0.2.1", "192.0.2.1:53"}, row{"192.0.2.1:5353", "192.0.2.1:5353"},
                            row{"[2001:db8::1]:99", "[2001:db8::1]:99"}, row{"[::1]", "[::1]:53"},
                            row{"::1", "[::1]:53"}, row{"1.2.3.4:", nullptr}, row{"1.2.3.4:65536", nullptr},
                            row{"1.2.3.4:x", nullptr}, row{"[::1", nullptr}, row{"[::1]9", nullptr});
    CAPTURE(r.text);
    const auto address = socket_address::parse(r.text, 53);
    REQUIRE(address.has_value() == (r.printed != nullptr));
    if (r.printed != nullptr)
        CHECK(address->text() == r.printed);
}

TEST_CASE("an IPv4-mapped peer is told as IPv4", "[net][address]") {
    const socket_address mapped(*ip_address::parse("::ffff:192.0.2.7"), 25);
    CHECK(mapped.host() == "192.0.2.7");
    CHECK(mapped.family() == AF_INET6);
}

TEST_CASE("a socket path has its limit", "[net][address]") {
    CHECK(socket_address::local(std::string(107, 'x')).has_value());
    CHECK(socket_address::local(std::string(108, 'x')).error().code == errc::too_large);
    CHECK(socket_address::local("").error().code == errc::malformed);
    CHECK(socket_address::local("public/cleanup")->host() == "public/cleanup");
}

TEST_CASE("a list of name servers parses", "[net][dns]") {
    const auto servers = parse_dns_servers("127.0.0.1:5353, [::1]:54\t192.0.2.1");
    REQUIRE(servers);
    REQUIRE(servers->size() == 3);
    CHECK((*servers)[0].port() == 5353);
    CHECK((*servers)[2].text() == "192.0.2.1:53");
    CHECK(parse_dns_servers("")->empty());
    CHECK_FALSE(parse_dns_servers("localhost"));
}
