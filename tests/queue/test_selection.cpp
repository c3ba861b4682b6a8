#include <catch2/catch.hpp>

#include <mta/queue/errc.hpp>
#include <mta/queue/selection.hpp>

using namespace mta;
using namespace mta::queue;

TEST_CASE("patterns are whole, fold case, and know * and ?", "[queue][selection]") {
    struct row {
        const char* text;
        const char* pattern;
        bool like;
    };
    const auto r = GENERATE(
        row{"bob@example.test", "bob@example.test", true}, row{"Bob@Example.test", "bob@EXAMPLE.test", true},
        row{"bob@example.test", "bob", false}, row{"bob@example.test", "*@example.test", true},
        row{"bob@example.test", "b?b@*", true}, row{"bob@example.test", "*", true}, row{"", "*", true},
        row{"", "", true}, row{"", "?", false}, row{"abc", "a*b*c*", true}, row{"abc", "a*d", false},
        row{"aaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*a*a*a*a*a*c", false}, row{"a*b", "a*b", true});
    CAPTURE(r.text, r.pattern);
    CHECK(like(r.text, r.pattern) == r.like);
}

namespace {
listed_message example() {
    listed_message message;
    message.queue_name = "deferred";
    message.queue_id = "39AAFA90117";
    message.arrival = 1000000;
    message.size = 5000;
    message.sender = "MAILER-DAEMON";
    message.recipients = {{"ann@one.test", "connect to mx.one.test: Connection refused"},
                          {"bob@two.test", ""}};
    return message;
}
} // namespace

TEST_CASE("a selection asks all its kinds, and one recipient for all about recipients",
          "[queue][selection]") {
    struct row {
        const char* name;
        const char* value;
        const char* name_2;
        const char* value_2;
        bool matches;
    };
    const auto r = GENERATE(
        row{"sender", "<>", "sender", "<>", true}, row{"sender", "MAILER-*", "sender", "x", true},
        row{"sender", "x@y", "sender", "z", false}, row{"recipient", "ann@*", "domain", "one.test", true},
        row{"recipient", "ann@*", "domain", "two.test", false},
        row{"domain", "two.test", "domain", "three.test", true},
        row{"reason", "refused", "domain", "one.test", true},
        row{"reason", "REFUSED", "domain", "two.test", false}, row{"reason", "refused*", "size", "+1", false},
        row{"older", "1h", "newer", "3h", true}, row{"older", "2h", "newer", "3h", false},
        row{"older", "3h", "size", "+1k", false}, row{"size", "+4k", "size", "-6k", true},
        row{"size", "+5000", "size", "-1M", false}, row{"size", "-5000", "older", "1s", false});
    CAPTURE(r.name, r.value, r.name_2, r.value_2);
    selection wanted;
    CHECK(wanted.empty());
    REQUIRE(wanted.add(r.name, r.value));
    REQUIRE(wanted.add(r.name_2, r.value_2));
    CHECK_FALSE(wanted.empty());
    CHECK(wanted.matches(example(), 1000000 + 7200, "MAILER-DAEMON") == r.matches);
}

TEST_CASE("a value that cannot be understood is named", "[queue][selection]") {
    struct row {
        const char* name;
        const char* value;
    };
    const auto r = GENERATE(row{"reason", ""}, row{"sender", ""}, row{"recipient", ""}, row{"older", ""}, row{"older", "x"}, row{"newer", "-1"}, row{"older", "1y"},
                            row{"older", "999999999999999999w"}, row{"size", ""}, row{"size", "5"},
                            row{"size", "+"}, row{"size", "+1x"}, row{"size", "+-1"});
    CAPTURE(r.name, r.value);
    selection wanted;
    const auto added = wanted.add(r.name, r.value);
    REQUIRE_FALSE(added);
    CHECK(added.error().code == make_error_code(queue::errc::bad_criterion));
    CHECK(added.error().text().find(r.name) != std::string::npos);
    CHECK(wanted.empty());
    CHECK_FALSE(selection::is_criterion("nosuch"));
    CHECK(selection::is_criterion(r.name));
}
