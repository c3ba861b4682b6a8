#include <catch2/catch.hpp>

#include <mta/rewrite/router.hpp>

#include "configured.hpp"

namespace {

std::string resolve(const std::string& settings, const std::string& recipient, const std::string& sender = "s@x.test") {
    auto router = mta::rewrite::router::open(mta::test::configured(settings));
    if (!router)
        return "open: " + router.error().text();
    const auto route = router->resolve(sender, recipient);
    if (!route)
        return "trouble";
    return route->transport + ":" + route->nexthop;
}

} // namespace

TEST_CASE("routing by address class", "[rewrite][router]") {
    struct row {
        const char* why;
        const char* settings;
        const char* recipient;
        const char* route;
    };
    const std::string classes;
    const auto [why, settings, recipient, route] = GENERATE(
        row{"local", "", "u@home.test", "local:mx.home.test"},
        row{"our literal", "", "u@[127.0.0.1]", "local:mx.home.test"},
        row{"a local transport without a nexthop", "local_transport = lmtp\n", "u@home.test", "lmtp:home.test"},
        row{"default", "", "u@Far.test", "smtp:Far.test"},
        row{"relayhost", "relayhost = [r.test]:26\n", "u@far.test", "smtp:[r.test]:26"},
        row{"relay domain", "relay_domains = far.test\n", "u@far.test", "relay:far.test"},
        row{"relay domain through relayhost", "relay_domains = far.test\nrelayhost = r.test\n", "u@far.test", "relay:r.test"},
        row{"virtual mailbox", "virtual_mailbox_domains = v.test\n", "u@v.test", "virtual:v.test"},
        row{"virtual alias that no alias took", "virtual_alias_domains = a.test\n", "u@a.test",
            "error:5.1.1 User unknown in virtual alias table"},
        row{"a bare user", "", "u", "local:mx.home.test"},
        row{"nobody", "", "", "local:mx.home.test"},
        row{"a final dot", "", "u@home.test.", "local:mx.home.test"},
        row{"two of them", "", "u@home.test..", "error:5.1.3 bad address syntax"},
        row{"a bare address", "", "u@192.0.2.1", "error:5.1.3 bad address syntax"},
        row{"a bare address as a literal", "resolve_numeric_domain = yes\n", "u@192.0.2.1", "smtp:[192.0.2.1]"},
        row{"an empty domain", "", "u@", "error:5.1.3 bad address syntax"},
        row{"an empty domain as none", "resolve_null_domain = yes\n", "u@", "local:mx.home.test"},
        row{"what looks like an option", "", "-u@far.test", "error:5.1.3 bad address syntax"},
        row{"what may look like an option", "allow_min_user = yes\n", "-u@far.test", "smtp:far.test"},
        row{"an international name", "smtputf8_enable = yes\n", "u@f\xc3\xa4r.test", "smtp:f\xc3\xa4r.test"},
        row{"no international names", "smtputf8_enable = no\n", "u@f\xc3\xa4r.test", "error:5.1.3 bad address syntax"},
        row{"a transport's own nexthop", "default_transport = smtp:[gw.test]\n", "u@far.test", "smtp:[gw.test]"},
        row{"a domain list without an answer", "relay_domains = fail:\n", "u@far.test", "trouble"});
    CAPTURE(why);
    CHECK(resolve(settings, recipient) == route);
}

TEST_CASE("transport_maps", "[rewrite][router]") {
    struct row {
        const char* why;
        const char* table;
        const char* recipient;
        const char* route;
    };
    const auto [why, table, recipient, route] = GENERATE(
        row{"a domain", "{far.test=slow:[r.test]}", "u@far.test", "slow:[r.test]"},
        row{"no nexthop: the domain", "{far.test=slow:}", "u@far.test", "slow:far.test"},
        row{"no transport: the class's", "{far.test=:[r.test]:2525}", "u@far.test", "smtp:[r.test]:2525"},
        row{"nothing: as without the table", "{far.test=:, *=slow:}", "u@far.test", "smtp:far.test"},
        row{"an address before its domain", "{u@far.test=a:x, far.test=b:y}", "u@far.test", "a:x"},
        row{"the address without extension", "{u@far.test=a:x}", "u+e@far.test", "a:x"},
        row{"subdomains", "{.far.test=b:y}", "u@x.far.test", "b:y"},
        row{"the suffix is not the domain", "{.far.test=b:y}", "u@far.test", "smtp:far.test"},
        row{"everything", "{*=c:z}", "u@any.test", "c:z"},
        row{"a domain has no users here", "{@far.test=b:y}", "u@far.test", "smtp:far.test"},
        row{"no way out of a class without mailboxes", "{alias.test=b:y}", "u@alias.test",
            "error:5.1.1 User unknown in virtual alias table"},
        row{"an error text", "{{far.test = error:5.1.2 no such place}}", "u@far.test", "error:5.1.2 no such place"});
    CAPTURE(why);
    CHECK(resolve("virtual_alias_domains = alias.test\nrecipient_delimiter = +\nparent_domain_matches_subdomains =\ntransport_maps=inline:" +
                      std::string(table) + "\n",
                  recipient) == route);
}

TEST_CASE("the sender may choose", "[rewrite][router]") {
    CHECK(resolve("sender_dependent_relayhost_maps = inline:{s@x.test=[r.test]}\n", "u@far.test") == "smtp:[r.test]");
    CHECK(resolve("sender_dependent_relayhost_maps = inline:{@x.test=[r.test]}\n", "u@far.test") == "smtp:[r.test]");
    CHECK(resolve("sender_dependent_default_transport_maps = inline:{s@x.test=slow:}\n", "u@far.test") ==
          "slow:far.test");
    CHECK(resolve("sender_dependent_relayhost_maps = inline:{s@x.test=DUNNO}\n", "u@far.test") == "smtp:far.test");
    CHECK(resolve("relayhost = r.test\nsender_dependent_relayhost_maps = inline:{s@x.test=dunno}\n", "u@far.test") ==
          "smtp:r.test");
    CHECK(resolve("sender_dependent_default_transport_maps = inline:{s@x.test=dunno}\n", "u@far.test") == "smtp:far.test");
    CHECK(resolve("sender_dependent_relayhost_maps = inline:{<>=n.test}\n", "u@far.test", "") == "smtp:n.test");
    CHECK(resolve("empty_address_relayhost_maps_lookup_key = nobody\n"
                  "sender_dependent_relayhost_maps = inline:{<>=n.test, nobody=o.test}\n",
                  "u@far.test", "") == "smtp:o.test");
    CHECK(resolve("sender_dependent_relayhost_maps = fail:\n", "u@far.test") == "trouble");
}

TEST_CASE("who has moved is said", "[rewrite][router]") {
    CHECK(resolve("relocated_maps = inline:{u@home.test=u@new.test}\n", "u@home.test") ==
          "error:5.1.6 User has moved to u@new.test");
    CHECK(resolve("relocated_maps = inline:{u=u@new.test}\n", "u@home.test") ==
          "error:5.1.6 User has moved to u@new.test");
    CHECK(resolve("myorigin = o.test\nrelocated_maps = inline:{u=u@new.test}\n", "u@o.test") ==
          "error:5.1.6 User has moved to u@new.test");
    CHECK(resolve("relocated_maps = inline:{u=u@new.test}\n", "u@far.test") == "smtp:far.test");
}
