#include <catch2/catch.hpp>

#include <mta/rewrite/recipient_check.hpp>

#include "configured.hpp"

namespace {

std::string check(const std::string& settings, const std::string& address) {
    auto under_test = mta::rewrite::recipient_check::open(mta::test::configured(settings));
    if (!under_test)
        return "open: " + under_test.error().text();
    auto router = mta::rewrite::router::open(mta::test::configured(settings));
    const auto where = router->resolve("s@x.test", address);
    const auto verdict = where ? under_test->check(*where) : mta::result<mta::rewrite::recipient_verdict>(
                                                                tl::make_unexpected(where.error()));
    if (!verdict)
        return "trouble";
    return verdict->known ? "known" : std::to_string(verdict->code) + " " + verdict->text;
}

} // namespace

TEST_CASE("whether an address of ours exists", "[rewrite][recipient_check]") {
    const std::string local = "local_recipient_maps = inline:{joe=x}\nalias_maps =\nrecipient_delimiter = +\n";
    CHECK(check(local, "joe@home.test") == "known");
    CHECK(check(local, "joe+ext@home.test") == "known");
    CHECK(check(local, "jim@home.test") == "550 User unknown in local recipient table");
    CHECK(check(local, "postmaster@home.test") == "known");
    CHECK(check(local, "jim@far.test") == "known");
    CHECK(check(local + "show_user_unknown_table_name = no\n", "jim@home.test") == "550 User unknown");
    CHECK(check(local + "unknown_local_recipient_reject_code = 450\n", "jim@home.test") ==
          "450 User unknown in local recipient table");
    CHECK(check(local + "virtual_alias_maps = inline:{jim@home.test=joe}\n", "jim@home.test") == "known");
    CHECK(check("local_recipient_maps =\n", "jim@home.test") == "known");
    CHECK(check("local_recipient_maps = fail:\n", "jim@home.test") == "trouble");
    const std::string box = "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = inline:{a@v.test=a/}\n";
    CHECK(check(box, "a@v.test") == "known");
    CHECK(check(box, "b@v.test") == "550 User unknown in virtual mailbox table");
    const std::string relay = "relay_domains = r.test\nrelay_recipient_maps = inline:{a@r.test=x}\n";
    CHECK(check(relay, "a@r.test") == "known");
    CHECK(check(relay, "b@r.test") == "550 User unknown in relay recipient table");
    CHECK(check("virtual_alias_domains = a.test\n", "b@a.test") == "550 5.1.1 User unknown in virtual alias table");
    CHECK(check(local, "postmaster+x@home.test") == "550 User unknown in local recipient table");
    CHECK(check(local, "mailer-daemon@home.test") == "known");
    CHECK(check(local, "double-bounce@home.test") == "known");
    CHECK(check(local + "canonical_maps = inline:{jim@home.test=jim@home.test}\n", "jim@home.test") == "known");
    CHECK(check(local + "relocated_maps = inline:{joe=away}\n", "joe@home.test") == "550 5.1.6 User has moved to away");
    CHECK(check(local + "transport_maps = inline:{{joe@home.test = retry:later}}\n", "joe@home.test") == "450 later");
    // The address that counts is the one behind ours.
    CHECK(check(relay, "b%r.test@home.test") == "550 User unknown in relay recipient table");
    CHECK(check(local, "jim%far.test@home.test") == "known");
}
