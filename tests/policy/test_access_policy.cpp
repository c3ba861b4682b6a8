#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/policy/access_policy.hpp>

#include "../smtp/session_script.hpp"

using namespace mta::policy;
using session_test::script;

namespace {

// One domain of ours, one network, one user; or a table that is down.
struct small_world final : world {
    bool broken = false;
    mta::result<bool> in_mynetworks(std::string_view, std::string_view address, notes&) override {
        if (broken)
            return mta::fail(mta::errc::temporary, "down");
        return address.starts_with("127.");
    }
    mta::result<bool> is_our_destination(std::string_view, std::string_view recipient, notes&) override {
        if (broken)
            return mta::fail(mta::errc::temporary, "down");
        return recipient.ends_with("@our.test");
    }
    mta::result<std::optional<unknown_user>> unlisted(address_role, std::string_view,
                                                      std::string_view address, notes&) override {
        if (broken)
            return mta::fail(mta::errc::temporary, "down");
        if (address.ends_with("@our.test") && !address.starts_with("bob@"))
            return unknown_user{"User unknown in local recipient table", 550};
        return std::nullopt;
    }
};

access_policy policy_of(const std::string& main_cf) {
    const auto cfg =
        mta::config::configuration::parse("/none", "compatibility_level = 3.6\n" + main_cf, "main.cf");
    REQUIRE(cfg);
    auto policy = access_policy::open(*cfg);
    REQUIRE(policy);
    return std::move(*policy);
}

struct host {
    explicit host(const std::string& main_cf, const std::string& address = "192.0.2.1",
                  const std::string& name = "client.test")
        : policy(policy_of(main_cf)), s(session_test::plain_settings(), peer(name, address)) {
        s.policy = [this](const auto& session) {
            auto got = policy.check(session, facts, tables);
            logs.insert(logs.end(), got.logs.begin(), got.logs.end());
            return got.reply;
        };
    }
    static mta::smtp::server_peer peer(const std::string& name, const std::string& address) {
        mta::smtp::server_peer out;
        out.name = name;
        out.address = address;
        return out;
    }
    std::string rcpt(const std::string& to, const std::string& from = "a@b.test",
                     const std::string& helo = "c.test") {
        s.start();
        s.say("EHLO " + helo + "\r\nMAIL FROM:<" + from + ">\r\n");
        auto out = s.say("RCPT TO:<" + to + ">\r\n");
        out.resize(out.size() - 2);
        return out;
    }
    access_policy policy;
    client_facts facts;
    small_world tables;
    std::vector<std::string> logs;
    script s;
};

} // namespace

TEST_CASE("by default strangers reach our domains only", "[policy]") {
    REQUIRE(host("").rcpt("bob@our.test") == "250 2.1.5 Ok");
    REQUIRE(host("").rcpt("x@else.test") == "454 4.7.1 <x@else.test>: Relay access denied");
    REQUIRE(host("").rcpt("no@our.test") ==
            "550 5.1.1 <no@our.test>: Recipient address rejected: User unknown in local recipient table");
    REQUIRE(host("", "127.0.0.1").rcpt("x@else.test") == "250 2.1.5 Ok");
    REQUIRE(host("", "127.0.0.1").rcpt("no@our.test").starts_with("550"));
    REQUIRE(host("").rcpt("Postmaster") == "250 2.1.5 Ok");
    REQUIRE(host("smtpd_reject_unlisted_recipient = no\n").rcpt("no@our.test") == "250 2.1.5 Ok");
}

TEST_CASE("reject lines have the form that log readers know", "[policy]") {
    host h("smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
    REQUIRE(h.rcpt("x@else.test") == "554 5.7.1 <x@else.test>: Relay access denied");
    REQUIRE(h.logs == std::vector<std::string>{"NOQUEUE: reject: RCPT from client.test[192.0.2.1]: 554 5.7.1 "
                                               "<x@else.test>: Relay access denied; "
                                               "from=<a@b.test> to=<x@else.test> proto=ESMTP helo=<c.test>"});
}

TEST_CASE("a table that is down defers and never permits", "[policy]") {
    const auto rules =
        GENERATE(as<std::string>(), "", "smtpd_relay_restrictions = permit_auth_destination, reject\n",
                 "smtpd_relay_restrictions = reject_unauth_destination\n");
    host h(rules);
    h.tables.broken = true;
    REQUIRE(h.rcpt("bob@our.test").starts_with("451 4.3.0 <"));
    REQUIRE(h.logs.size() == 1);
}

TEST_CASE("each rule says its own", "[policy]") {
    struct row {
        std::string rules, to, from, helo, reply;
    };
    const std::string relay = "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n";
    const auto r = GENERATE_COPY(values<row>({
        {"smtpd_client_restrictions = reject\n", "bob@our.test", "a@b.test", "c.test",
         "554 5.7.1 <client.test[192.0.2.1]>: Client host rejected: Access denied"},
        {"smtpd_helo_restrictions = reject\n", "bob@our.test", "a@b.test", "c.test",
         "554 5.7.1 <c.test>: Helo command rejected: Access denied"},
        {"smtpd_sender_restrictions = reject\n", "bob@our.test", "a@b.test", "c.test",
         "554 5.7.1 <a@b.test>: Sender address rejected: Access denied"},
        {"smtpd_recipient_restrictions = reject\n", "bob@our.test", "a@b.test", "c.test",
         "554 5.7.1 <bob@our.test>: Recipient address rejected: Access denied"},
        {"smtpd_recipient_restrictions = defer\n", "bob@our.test", "a@b.test", "c.test",
         "450 4.3.2 <bob@our.test>: Recipient address rejected: Try again later"},
        {"smtpd_recipient_restrictions = defer_if_permit\n", "bob@our.test", "a@b.test", "c.test",
         "450 4.7.0 <bob@our.test>: Recipient address rejected: defer_if_permit requested"},
        {"smtpd_recipient_restrictions = defer_if_permit\n", "no@our.test", "a@b.test", "c.test",
         "550 5.1.1 <no@our.test>: Recipient address rejected: User unknown in local recipient table"},
        {"smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n", "bob@our.test", "a@b.test", "c",
         "504 5.5.2 <c>: Helo command rejected: need fully-qualified hostname"},
        {"smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n", "bob@our.test", "a@b.test",
         "[127.0.0.1]", "250 2.1.5 Ok"},
        {"smtpd_helo_restrictions = reject_invalid_helo_hostname\n", "bob@our.test", "a@b.test", "-a",
         "501 5.5.2 <-a>: Helo command rejected: Invalid name"},
        {"smtpd_sender_restrictions = reject_non_fqdn_sender\n", "bob@our.test", "a", "c.test",
         "504 5.5.2 <a>: Sender address rejected: need fully-qualified address"},
        {"smtpd_sender_restrictions = reject_non_fqdn_sender\n", "bob@our.test", "", "c.test",
         "250 2.1.5 Ok"},
        {"smtpd_recipient_restrictions = reject_non_fqdn_recipient\n" +
             std::string("smtpd_relay_restrictions =\n"),
         "bob", "", "c.test", ""},
        {"smtpd_client_restrictions = warn_if_reject, reject\n", "bob@our.test", "a@b.test", "c.test",
         "250 2.1.5 Ok"},
        {"smtpd_client_restrictions = permit, reject\n", "bob@our.test", "a@b.test", "c.test",
         "250 2.1.5 Ok"},
        {"smtpd_recipient_restrictions = permit_auth_destination, reject\n", "bob@our.test", "a@b.test",
         "c.test", "250 2.1.5 Ok"},
        {"smtpd_reject_unlisted_sender = yes\n", "bob@our.test", "no@our.test", "c.test",
         "550 5.1.0 <no@our.test>: Sender address rejected: User unknown in local recipient table"},
        {"soft_bounce = yes\n", "no@our.test", "a@b.test", "c.test",
         "450 4.1.1 <no@our.test>: Recipient address rejected: User unknown in local recipient table"},
    }));
    if (r.reply.empty())
        return; // no rule stops relaying: see below
    CAPTURE(r.rules);
    host h(r.rules + relay);
    REQUIRE(h.rcpt(r.to, r.from, r.helo) == r.reply);
}

TEST_CASE("without delay rules speak at their own command", "[policy]") {
    host h("smtpd_delay_reject = no\nsmtpd_client_restrictions = reject\n");
    REQUIRE(h.s.start() == "554 5.7.1 <client.test[192.0.2.1]>: Client host rejected: Access denied\r\n");
    REQUIRE(h.logs.back() ==
            "NOQUEUE: reject: CONNECT from client.test[192.0.2.1]: 554 5.7.1 <client.test[192.0.2.1]>: "
            "Client host rejected: Access denied; proto=SMTP");
    host sender("smtpd_delay_reject = no\nsmtpd_sender_restrictions = reject\n");
    sender.s.start();
    sender.s.say("EHLO x\r\n");
    REQUIRE(sender.s.say("MAIL FROM:<a@b.test>\r\n") ==
            "554 5.7.1 <a@b.test>: Sender address rejected: Access denied\r\n");
    REQUIRE(sender.logs.back() ==
            "NOQUEUE: reject: MAIL from client.test[192.0.2.1]: 554 5.7.1 <a@b.test>: Sender address "
            "rejected: Access denied; from=<a@b.test> proto=ESMTP helo=<x>");
}

TEST_CASE("data and end of data have rules", "[policy]") {
    const auto [rules, reply] = GENERATE(table<std::string, std::string>({
        {"smtpd_data_restrictions = reject\n", "554 5.7.1 <DATA>: Data command rejected: Access denied\r\n"},
        {"smtpd_end_of_data_restrictions = reject\n",
         "354 End data with <CR><LF>.<CR><LF>\r\n554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access "
         "denied\r\n"},
    }));
    host h(rules);
    REQUIRE(h.rcpt("bob@our.test") == "250 2.1.5 Ok");
    auto out = h.s.say("DATA\r\n");
    if (out.starts_with("354"))
        out += h.s.say("x\r\n.\r\n");
    REQUIRE(out == reply);
}

TEST_CASE("clients without a name", "[policy]") {
    host h("smtpd_client_restrictions = reject_unknown_client_hostname\n", "192.0.2.1", "unknown");
    REQUIRE(h.rcpt("bob@our.test") ==
            "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]");
    host known("smtpd_client_restrictions = reject_unknown_client_hostname\n");
    REQUIRE(known.rcpt("bob@our.test") == "250 2.1.5 Ok");
}

TEST_CASE("a configuration that would relay for everybody is refused at start", "[policy]") {
    const auto cfg = mta::config::configuration::parse(
        "/none", "smtpd_relay_restrictions = permit_mynetworks\nsmtpd_recipient_restrictions = permit\n",
        "main.cf");
    REQUIRE(cfg);
    REQUIRE_FALSE(access_policy::open(*cfg));
}
