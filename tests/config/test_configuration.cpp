#include <catch2/catch.hpp>

#include <thread>

#include <mta/config/configuration.hpp>
#include <mta/config/ignored_parameters.hpp>
#include <mta/config/locate.hpp>

using mta::configuration;
namespace config = mta::config;
namespace param = mta::param;
using namespace std::chrono_literals;

namespace {
configuration parse(const std::string& text) {
    return *configuration::parse("/x", text, "/x/main.cf");
}
} // namespace

TEST_CASE("an empty main.cf gives the compiled defaults", "[config]") {
    const auto cfg = parse("");
    CHECK(cfg[param::message_size_limit] == 10240000);
    CHECK(cfg[param::queue_run_delay] == 300s);
    CHECK(cfg[param::maximal_queue_lifetime] == 5 * 86400s);
    CHECK(!cfg[param::soft_bounce]);
    CHECK(cfg[param::syslog_name] == "postfix");
    CHECK(cfg[param::smtpd_hard_error_limit] == 20);
    CHECK(cfg[param::mail_owner] == "postfix");
    CHECK(cfg[param::smtpd_expansion_filter].starts_with("\\t\\40!\"#$%&'()*"));
    CHECK(cfg.validate());
    CHECK(cfg.directory() == "/x");
    CHECK(cfg.text("config_directory") == "/x");
    CHECK(!cfg[param::mynetworks].empty());
}

TEST_CASE("values are typed, expanded and overridden", "[config]") {
    const auto cfg = parse("myhostname = mail.example.com\nmydestination = $myhostname, localhost.$mydomain,\n"
                           "  localhost\nsize = 77\nmessage_size_limit = $size\nqueue_run_delay = 2m\n"
                           "maximal_queue_lifetime = 2\nsoft_bounce = YES\nstress = yes\n");
    CHECK(cfg[param::mydomain] == "example.com");
    CHECK(cfg[param::mydestination] ==
          std::vector<std::string>{"mail.example.com", "localhost.example.com", "localhost"});
    CHECK(cfg[param::message_size_limit] == 77);
    CHECK(cfg[param::queue_run_delay] == 120s);
    CHECK(cfg[param::maximal_queue_lifetime] == 2 * 86400s); // a bare number takes the unit of the default
    CHECK(cfg[param::soft_bounce]);
    CHECK(cfg[param::smtpd_hard_error_limit] == 1);
    CHECK(cfg.text("size") == "77");
    CHECK(cfg.text("nonesuch").empty());
    CHECK(cfg.is_set("size"));
    CHECK(!cfg.is_set("relayhost"));

    const auto other = cfg.with_overrides({{"size", "78"}, {"myhostname", "other.example.net"}});
    CHECK(other[param::message_size_limit] == 78);
    CHECK(other[param::mydomain] == "example.net");
    CHECK(cfg[param::message_size_limit] == 77);
}

TEST_CASE("a host without a domain gets mydomain, and mydomain gets the host's", "[config]") {
    CHECK(parse("myhostname = plain\n")[param::mydomain] == "localdomain");
    CHECK(parse("mydomain = example.org\nmyhostname = mx.$mydomain\n")[param::myhostname] == "mx.example.org");
}

TEST_CASE("a parameter of a service falls back to the one for all services", "[config]") {
    const auto cfg = parse("default_destination_recipient_limit = 7\nslow_destination_rate_delay = 3\n"
                           "slow_destination_concurrency_limit = 1\n");
    CHECK(*cfg.number("smtp_destination_recipient_limit") == 7);
    CHECK(*cfg.number("local_destination_recipient_limit") == 1);
    CHECK(*cfg.number("slow_destination_concurrency_limit") == 1);
    CHECK(*cfg.number("other_destination_concurrency_limit") == 20);
    CHECK(*cfg.time("slow_destination_rate_delay") == 3s);
    CHECK(*cfg.number("smtp_initial_destination_concurrency") == 5);
    CHECK(!cfg.number("nonesuch"));
}

TEST_CASE("a bad value is an error with file and line", "[config]") {
    using row = std::pair<const char*, const char*>;
    const auto r = GENERATE(values<row>({
        {"\nmax_use = 1k\n", "/x/main.cf, line 2: bad numerical configuration: max_use = 1k"},
        {"max_use = 0\n", "/x/main.cf, line 1: invalid max_use parameter value 0 < 1"},
        {"soft_bounce = true\n", "/x/main.cf, line 1: bad boolean configuration: soft_bounce = true"},
        {"max_idle = 1M\n", "/x/main.cf, line 1: parameter max_idle: bad time value or unit: 1M"},
        {"max_idle = 0\n", "/x/main.cf, line 1: invalid max_idle: 0 (min 1)"},
        {"myhostname =\n", "/x/main.cf, line 1: bad string length 0 < 1: myhostname = "},
        {"myorigin = ${x\n", "/x/main.cf, line 1: myorigin: truncated macro reference: \"${x\""},
        {"compatibility_level = zz\n", "malformed compatibility level syntax: \"zz\""},
        {"x_destination_recipient_limit = y\n",
         "/x/main.cf, line 1: bad numerical configuration: x_destination_recipient_limit = y"},
    }));
    CAPTURE(r.first);
    const auto found = parse(r.first).problems();
    REQUIRE(!found.empty());
    CHECK_THAT(found.front().text(), Catch::Matchers::EndsWith(r.second));
}

TEST_CASE("what nobody acts on stops nobody", "[config]") {
    const auto cfg = parse("default_process_limit = 4\n"); // the least postscreen_post_queue_limit is 5
    CHECK(cfg.validate());
    CHECK(!cfg.problems().empty());
    const auto served = parse("message_size_limit = many\n").validate();
    REQUIRE(!served);
    CHECK_THAT(served.error().text(), Catch::Matchers::EndsWith("bad numerical configuration: message_size_limit = many"));
}

TEST_CASE("the last of several entries wins, with a warning", "[config]") {
    const auto cfg = parse("myorigin = x\nmine = 1\nmyorigin = y\nmine = 2\n");
    CHECK(cfg[param::myorigin] == "y");
    CHECK(cfg.text("mine") == "2");
    CHECK(cfg.warnings() == std::vector<std::string>{
                                "/x/main.cf, line 3: overriding earlier entry: myorigin=x",
                                "/x/main.cf, line 4: overriding earlier entry: mine=1"});
    CHECK(cfg.settings().size() == 3);
}

TEST_CASE("a missing main.cf is named", "[config]") {
    const auto cfg = configuration::load("/nonexistent");
    REQUIRE(!cfg);
    CHECK(cfg.error().text() == "open /nonexistent/main.cf: No such file or directory");
}

TEST_CASE("the table is sorted and every default is good", "[config]") {
    const auto rows = config::parameters();
    REQUIRE(rows.size() > 800);
    for (std::size_t i = 1; i < rows.size(); ++i)
        CHECK(rows[i - 1].name < rows[i].name);
    std::string all;
    for (const auto& row : rows)
        if (!row.computed)
            all += std::string(row.name) + " = " + std::string(row.initial) + "\n";
    const auto done = parse(all).validate();
    CHECK((done ? "" : done.error().text()) == "");
    CHECK(config::find_parameter("2bounce_notice_recipient"));
    CHECK(!config::find_parameter("nonesuch"));
    CHECK(!config::find_parameter(""));
}

TEST_CASE("known parameters that nobody acts on are listed, defaults are not", "[config]") {
    const auto names = config::ignored_parameters(
        parse("bounce_template_file = /x\nmessage_size_limit = 5\nmine = 1\nbest_mx_transport =\n"));
    CHECK(names == std::vector<std::string>{"bounce_template_file"});
}

TEST_CASE("several threads may ask at once", "[config]") {
    const auto cfg = parse("myhostname = a.example.com\n");
    std::vector<std::thread> threads;
    std::vector<const std::string*> seen(4);
    for (auto& place : seen)
        threads.emplace_back([&cfg, &place] { place = &cfg[param::mydomain]; });
    for (auto& thread : threads)
        thread.join();
    for (const auto* place : seen)
        CHECK(place == seen.front());
    CHECK(*seen.front() == "example.com");
}

TEST_CASE("a restricted caller may not use another directory", "[config][locate]") {
    const auto where = config::find_directory("/elsewhere", config::caller::restricted);
    CHECK(!where);
    CHECK(config::find_directory("/elsewhere", config::caller::trusted)->directory == "/elsewhere");
    CHECK(config::find_directory("/elsewhere/main.cf", config::caller::trusted)->directory == "/elsewhere");
}
