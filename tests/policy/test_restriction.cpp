#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include <mta/policy/restriction.hpp>

using namespace mta::policy;

TEST_CASE("known words become rules, without case", "[policy][restriction]") {
    const std::vector<std::string> words{"permit_mynetworks", "Reject_Unauth_Destination", "permit"};
    const auto list = parse_restrictions("smtpd_relay_restrictions", words);
    REQUIRE(list);
    REQUIRE(list->size() == 3);
    REQUIRE((*list)[1].what == rule::reject_unauth_destination);
}

TEST_CASE("a word that nobody acts on is an error that names it and its parameter", "[policy][restriction]") {
    const auto word = GENERATE(as<std::string>(), "reject_rbl_client", "check_policy_service",
                               "reject_unknown_sender_domain", "hash:/etc/access", "", "permit_");
    const std::vector<std::string> words{"permit_mynetworks", word};
    const auto list = parse_restrictions("smtpd_recipient_restrictions", words);
    REQUIRE_FALSE(list);
    REQUIRE(list.error().code == mta::errc::unsupported);
    REQUIRE(list.error().detail.find(word) != std::string::npos);
    REQUIRE(list.error().detail.find("smtpd_recipient_restrictions") != std::string::npos);
}

TEST_CASE("some rule must stop relaying", "[policy][restriction]") {
    const auto with = [](rule what) { return restriction_list{{rule::permit_mynetworks, {}}, {what, {}}}; };
    const restriction_list none;
    for (const auto what :
         {rule::reject_unauth_destination, rule::defer_unauth_destination, rule::reject, rule::defer}) {
        const auto list = with(what);
        const restriction_list* lists[] = {&none, &list};
        REQUIRE(refuses_relaying(lists));
    }
    const auto open = with(rule::permit);
    const restriction_list* lists[] = {&none, &open};
    REQUIRE_FALSE(refuses_relaying(lists));
    const restriction_list never_asked = {{rule::permit, {}}, {rule::reject, {}}};
    const restriction_list only_warns = {{rule::warn_if_reject, {}}, {rule::reject_unauth_destination, {}}};
    const restriction_list* useless[] = {&never_asked, &only_warns};
    REQUIRE_FALSE(refuses_relaying(useless));
    const restriction_list warns_and_refuses = {{rule::warn_if_reject, {}}, {rule::reject, {}}, {rule::reject, {}}};
    const restriction_list* good[] = {&never_asked, &warns_and_refuses};
    REQUIRE(refuses_relaying(good));
}
