#include <catch2/catch.hpp>

#include <set>
#include <string>

#include <mta/config/configuration.hpp>
#include <mta/policy/access_policy.hpp>
#include <mta/policy/world.hpp>

#include "../smtp/session_script.hpp"

using namespace mta::policy;
using session_test::script;

namespace {

mta::config::configuration configured(const std::string& main_cf) {
    const auto cfg = mta::config::configuration::parse(
        "/none",
        "compatibility_level = 3.6\nmyhostname = mx.our.test\nmydomain = our.test\nmyorigin = our.test\n"
        "mydestination = our.test, mx.our.test\ninet_interfaces = 127.0.0.1\nmynetworks = 127.0.0.2\n"
        "virtual_alias_domains = alias.test\nvirtual_mailbox_domains = box.test\nrelay_domains = relay.test\n"
        "local_recipient_maps = inline:{bob=x}\nalias_maps =\nrecipient_delimiter = +\n" +
            main_cf,
        "main.cf");
    REQUIRE(cfg);
    return *cfg;
}

std::unique_ptr<world> world_of(const std::string& main_cf) {
    auto out = open_world(configured(main_cf));
    REQUIRE(out);
    return std::move(*out);
}

// The reply to RCPT TO:<to> under the rules and tables of main_cf.
std::string rcpt(const std::string& main_cf, const std::string& client, const std::string& to,
                 const std::string& from = "a@b.test") {
    const auto cfg = configured(main_cf);
    const auto rules = access_policy::open(cfg);
    REQUIRE(rules);
    const auto tables = world_of(main_cf);
    script s(session_test::plain_settings(), {"client.test", client});
    s.policy = [&](const auto& session) { return rules->check(session, {}, *tables).reply; };
    s.start();
    s.say("EHLO c.test\r\nMAIL FROM:<" + from + ">\r\n");
    return s.say("RCPT TO:<" + to + ">\r\n").substr(0, 9);
}

} // namespace

TEST_CASE("a domain of ours does not make a foreign destination ours", "[policy][table_world]") {
    struct row {
        const char* recipient;
        bool ours;         // as configured
        bool untrusted;    // with allow_untrusted_routing
        bool no_operators; // with swap_bangpath and allow_percent_hack off
    };
    const auto r = GENERATE(
        row{"bob@our.test", true, true, true}, row{"bob", true, true, true},
        row{"bob@our.test.", true, true, true}, row{"bob@[127.0.0.1]", true, true, true},
        row{"x@alias.test", true, true, true}, row{"x@box.test", true, true, true},
        row{"x@relay.test", true, true, true}, row{"x@sub.relay.test", true, true, true},
        row{"x@far.test", false, false, false}, row{"x%far.test@our.test", false, false, false},
        row{"far.test!x@our.test", false, false, false}, row{"x@far.test@our.test", false, false, false},
        row{"x@far.test@[127.0.0.1]", false, false, false},
        row{"x%far.test%mx.our.test@our.test", false, false, false},
        row{"@our.test:x@far.test", false, false, false}, row{"our.test!x@far.test", false, false, false},
        row{"x%our.test@far.test", false, false, false}, row{"x%far.test", false, false, false},
        row{"x%far.test@relay.test", false, true, false}, row{"far.test!x@relay.test", false, true, false},
        row{"x@far.test@relay.test", false, true, false}, row{"x y@far.test@relay.test", false, true, false},
        row{"x%far.test@box.test", false, true, false}, row{"x%far.test@alias.test", false, true, false},
        row{"x@far..test", false, false, false}, row{"x@", false, false, false});
    CAPTURE(r.recipient);
    const auto ours = [&](const char* main_cf) {
        world::notes said;
        return world_of(main_cf)->is_our_destination("a@b.test", r.recipient, said).value();
    };
    CHECK(ours("") == r.ours);
    CHECK(ours("allow_untrusted_routing = yes\n") == r.untrusted);
    CHECK(ours("swap_bangpath = no\nallow_percent_hack = no\n") == r.no_operators);
    // Who is ours under looser rules only must not be ours under the strict ones.
    CHECK_FALSE((r.ours && !r.untrusted));
}

TEST_CASE("strangers reach nobody through a routed address", "[policy][table_world]") {
    const auto rules = GENERATE(
        as<std::string>(), "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n",
        "smtpd_relay_restrictions = permit_mynetworks, permit_auth_destination, reject\n",
        "smtpd_relay_restrictions = permit_mynetworks, defer_unauth_destination\n");
    const auto to =
        GENERATE(as<std::string>(), "x%far.test@our.test", "far.test!x@our.test", "\"x@far.test\"@our.test",
                 "x%far.test@relay.test", "\"x@far.test\"@relay.test", "x%far.test@alias.test", "x@far.test");
    CAPTURE(rules, to);
    const auto refused = rcpt(rules, "192.0.2.1", to);
    CHECK(std::set<std::string>{"554 5.7.1", "454 4.7.1"}.contains(refused));
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test") == "250 2.1.5");
    // Our own network may send anywhere, but not to an alias that is none.
    CHECK(rcpt(rules, "127.0.0.2", to) == (to.ends_with("@alias.test") ? "550 5.1.1" : "250 2.1.5"));
}

TEST_CASE("a route that is an error refuses the recipient", "[policy][table_world]") {
    struct row {
        const char* main_cf;
        const char* to;
        const char* reply;
    };
    const auto r = GENERATE(
        row{"relocated_maps = inline:{bob=elsewhere}\n", "bob@our.test", "550 5.1.6"},
        row{"transport_maps = inline:{{bob@our.test = error:5.2.1 away}}\n", "bob@our.test", "550 5.2.1"},
        row{"transport_maps = inline:{{bob@our.test = error:away}}\n", "bob@our.test", "550 5.1.1"},
        row{"transport_maps = inline:{{bob@our.test = error:5.1.8 away}}\n", "bob@our.test", "550 5.1.2"},
        row{"transport_maps = inline:{{bob@our.test = retry:5.2.1 away}}\n", "bob@our.test", "450 4.2.1"},
        row{"transport_maps = fail:\n", "bob@our.test", "451 4.3.0"},
        row{"relay_domains = fail:\n", "x@far.test", "451 4.3.0"},
        row{"", "no%mx.our.test@our.test", "550 5.1.1"}, row{"", "bob%mx.our.test@our.test", "250 2.1.5"},
        row{"", "bob+x@our.test", "250 2.1.5"}, row{"", "postmaster+x@our.test", "550 5.1.1"},
        row{"", "mailer-daemon@our.test", "250 2.1.5"}, row{"", "x@alias.test", "550 5.1.1"});
    CAPTURE(r.main_cf, r.to);
    CHECK(rcpt(r.main_cf, "192.0.2.1", r.to) == r.reply);
}

TEST_CASE("a sender is refused with a sender's code", "[policy][table_world]") {
    const std::string rules = "smtpd_reject_unlisted_sender = yes\nrelocated_maps = inline:{joe=elsewhere}\n"
                              "sender_canonical_maps = inline:{ann@our.test=bob@our.test}\n";
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test", "joe@our.test") == "550 5.1.7");
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test", "nobody@our.test") == "550 5.1.0");
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test", "ann@our.test") == "250 2.1.5");
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test", "x@far.test") == "250 2.1.5");
    CHECK(rcpt(rules, "192.0.2.1", "bob@our.test", "") == "250 2.1.5");
}
