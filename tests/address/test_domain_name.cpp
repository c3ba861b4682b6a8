#include <catch2/catch.hpp>

#include <string>

#include <mta/address/domain_name.hpp>

using namespace mta::address;

TEST_CASE("domains keep to their limits", "[address][domain_name]") {
    REQUIRE(valid_domain(std::string(63, 'a') + ".test"));
    REQUIRE_FALSE(valid_domain(std::string(64, 'a') + ".test"));
    std::string longest;
    while (longest.size() < 254)
        longest += "a.";
    REQUIRE(valid_domain(longest + "b"));
    REQUIRE_FALSE(valid_domain(longest + "bb"));
    REQUIRE_FALSE(valid_domain(""));
    REQUIRE_FALSE(valid_domain("."));
    REQUIRE_FALSE(valid_domain("[]"));
    REQUIRE_FALSE(valid_domain("123"));
    REQUIRE_FALSE(valid_domain("a-.b"));
    REQUIRE_FALSE(valid_domain("-a.b"));
    REQUIRE_FALSE(valid_domain("192.0.2.1"));
    REQUIRE(valid_domain("[192.0.2.1]"));
    REQUIRE(valid_domain("[IPv6:2001:db8::1]"));
    REQUIRE_FALSE(valid_domain("[far.test]"));
}
