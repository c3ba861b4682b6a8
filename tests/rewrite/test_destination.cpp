#include <catch2/catch.hpp>

#include <mta/rewrite/destination.hpp>

#include "configured.hpp"

namespace {

using mta::rewrite::address_class;

struct seen {
    std::string recipient;
    address_class kind = address_class::other;
    bool routed = false;
    bool malformed = false;
};

seen find(const std::string& settings, const std::string& recipient) {
    auto finder = mta::rewrite::destination_finder::open(
        mta::test::configured("relay_domains = relay.test\nvirtual_mailbox_domains = "
                              "box.test\nvirtual_alias_domains = alias.test\n" +
                              settings));
    REQUIRE(finder);
    const auto found = finder->find(recipient);
    REQUIRE(found);
    return {found->recipient, found->kind, found->routed, found->malformed};
}

constexpr auto local = address_class::local;
constexpr auto box = address_class::virtual_mailbox;
constexpr auto alias = address_class::virtual_alias;
constexpr auto relay = address_class::relay;
constexpr auto other = address_class::other;

} // namespace

// Each row is a way to hide a foreign domain behind one of ours: none may end as our own mail that is not
// routed.
TEST_CASE("what an own domain hides comes to light", "[rewrite][destination]") {
    struct row {
        const char* why;
        const char* settings;
        const char* address;
        const char* recipient;
        address_class kind;
        bool routed;
    };
    const char* plain = "swap_bangpath = no\nallow_percent_hack = no\n";
    const char* opaque = "resolve_dequoted_address = no\n";
    const auto r = GENERATE_COPY(
        row{"plain", "", "u@home.test", "u@home.test", local, false},
        row{"percent", "", "u%far.test@home.test", "u@far.test", other, false},
        row{"bang", "", "far.test!u@home.test", "u@far.test", other, false},
        row{"at", "", "u@far.test@home.test", "u@far.test", other, false},
        row{"at, with a final dot", "", "u@far.test@home.test.", "u@far.test", other, false},
        row{"through our literal", "", "u%far.test@[127.0.0.1]", "u@far.test", other, false},
        row{"two of ours", "", "u%far.test%mx.home.test@home.test", "u@far.test", other, false},
        row{"ours behind ours", "", "u%mx.home.test@home.test", "u@mx.home.test", local, false},
        row{"a route", "", "@home.test:u%far.test@home.test", "u@far.test", other, false},
        row{"without a domain", "", "u%far.test", "u@far.test", other, false},
        row{"a further hop", "", "far.test!relay.test!u@home.test", "relay.test!u@far.test", other, true},
        row{"a relay that may relay", "", "u%far.test@relay.test", "u%far.test@relay.test", relay, true},
        row{"hidden in quotes", "", "u x@far.test@relay.test", "u x@far.test@relay.test", relay, true},
        row{"a mailbox", "", "u%far.test@box.test", "u%far.test@box.test", box, true},
        row{"an alias domain", "", "far.test!u@alias.test", "far.test!u@alias.test", alias, true},
        row{"percent means nothing here", plain, "u%far.test@home.test", "u%far.test@home.test", local, true},
        row{"bang means nothing here", plain, "far.test!u@home.test", "far.test!u@home.test", local, true},
        row{"at always does", plain, "u@far.test@home.test", "u@far.test", other, false},
        row{"quotes are closed", opaque, "u@far.test@home.test", "u@far.test@home.test", local, true},
        row{"quotes are closed, percent", opaque, "u x%far.test@home.test", "u x%far.test@home.test", local,
            true},
        row{"no quotes, percent", opaque, "u%far.test@home.test", "u@far.test", other, false});
    CAPTURE(r.why);
    const auto found = find(r.settings, r.address);
    CHECK(found.recipient == r.recipient);
    CHECK(found.kind == r.kind);
    CHECK(found.routed == r.routed);
    CHECK_FALSE(found.malformed);
}

TEST_CASE("what nobody can own is malformed", "[rewrite][destination]") {
    const auto address = GENERATE(as<std::string>(), "u@", "@", "u@far..test", "u@-far.test", "u@far test",
                                  "u@[far.test]", "u@192.0.2.1", "u@.", "u%far..test@home.test", "!u", "u%");
    CAPTURE(address);
    const auto found = find("", address);
    CHECK(found.malformed);
    CHECK(found.kind == other);
}

TEST_CASE("nobody's name is put in", "[rewrite][destination]") {
    CHECK(find("", "").recipient == "MAILER-DAEMON@mx.home.test");
    CHECK(find("", "@home.test").recipient == "MAILER-DAEMON@home.test");
    CHECK(find("empty_address_recipient = nobody\n", "").recipient == "nobody@mx.home.test");
    CHECK(find("", "@far.test").recipient == "@far.test");
}

TEST_CASE("an address of nothing but orders comes to an end", "[rewrite][destination]") {
    for (const char* order :
         {"@", "!", "%", "@home.test", "home.test!", "%home.test", "@a:", "@home.test:u@home.test"}) {
        std::string address;
        for (int i = 0; i < 1000; ++i)
            address += order;
        CAPTURE(order);
        CHECK_FALSE(find("", address).recipient.empty());
        CHECK_FALSE(find("resolve_null_domain = yes\n", address).recipient.empty());
    }
}
