#include <catch2/catch.hpp>

#include <mta/config/master.hpp>

namespace config = mta::config;

namespace {
mta::result<std::vector<config::service_line>> parse(const char* text) {
    return config::parse_master(text, "/x/master.cf",
                                *config::configuration::parse("/x", "compatibility_level = 3.6\n", "/x/main.cf"));
}
} // namespace

TEST_CASE("a service line has eight columns and arguments", "[config][master]") {
    const auto lines = parse("# comment\nsmtp inet n - y 60? 0 smtpd -v -o a=b -o { c = d e } -ox=y\n  {abc def}\n");
    REQUIRE(lines);
    REQUIRE(lines->size() == 1);
    const auto& entry = lines->front();
    CHECK(entry.name == "smtp");
    CHECK(entry.type == config::service_type::inet);
    CHECK(!entry.priv);
    CHECK(entry.unpriv);
    CHECK(entry.chroot);
    CHECK(entry.wakeup == 60);
    CHECK(entry.wakeup_if_used);
    CHECK(entry.maxproc == 0);
    CHECK(entry.program == "smtpd");
    CHECK(entry.line == 2);
    CHECK(entry.settings == config::overrides{{"a", "b"}, {"c", "d e"}, {"x", "y"}});
    CHECK(entry.args == std::vector<std::string>{"-v", "-o", "a=b", "-o", "c=d e", "-o", "x=y", "abc def"});
}

TEST_CASE("dashes take the defaults of their column", "[config][master]") {
    const auto lines = parse("cleanup unix - - - - - cleanup\n");
    REQUIRE(lines);
    const auto& entry = lines->front();
    CHECK(entry.priv);
    CHECK(entry.unpriv);
    CHECK(!entry.chroot); // at compatibility levels from 1
    CHECK(entry.wakeup == 0);
    CHECK(entry.maxproc == -1);
    const auto old = config::parse_master("cleanup unix - - - - - cleanup\n", "/x/master.cf",
                                          config::configuration::defaults("/x"));
    CHECK(old->front().chroot);
}

TEST_CASE("options of pipe behind its operands are the program's own", "[config][master]") {
    const auto lines = parse("x unix - n n - - pipe flags=DR user=a argv=/x/y -o a=b\n");
    REQUIRE(lines);
    CHECK(lines->front().settings.empty());
    CHECK(lines->front().args == std::vector<std::string>{"flags=DR", "user=a", "argv=/x/y", "-o", "a=b"});
}

TEST_CASE("a bad service line is an error that names file, line and field", "[config][master]") {
    using row = std::pair<const char*, const char*>;
    const auto r = GENERATE(values<row>({
        {"smtp inet n - n - -\n", "file /x/master.cf: line 1: bad field count"},
        {"\n# c\nsmtp foo n - n - - smtpd\n",
         "file /x/master.cf: line 3: invalid type field \"foo\" in \"smtp foo n - n - - smtpd\""},
        {"smtp inet q - n - - smtpd\n",
         "file /x/master.cf: line 1: invalid private field \"q\" in \"smtp inet q - n - - smtpd\""},
        {"smtp inet n x n - - smtpd\n",
         "file /x/master.cf: line 1: invalid unprivileged field \"x\" in \"smtp inet n x n - - smtpd\""},
        {"smtp inet n - x - - smtpd\n",
         "file /x/master.cf: line 1: invalid chroot field \"x\" in \"smtp inet n - x - - smtpd\""},
        {"smtp inet n - n ?60 - smtpd\n",
         "file /x/master.cf: line 1: invalid wakeup field \"?60\" in \"smtp inet n - n ?60 - smtpd\""},
        {"smtp inet n - n - -1 smtpd\n",
         "file /x/master.cf: line 1: invalid process_limit field \"-1\" in \"smtp inet n - n - -1 smtpd\""},
        {"smtp inet n - n - - smtpd -o a\n",
         "file /x/master.cf: line 1: missing '=' after attribute name: \"a\""},
    }));
    CAPTURE(r.first);
    const auto lines = parse(r.first);
    REQUIRE(!lines);
    CHECK(lines.error().text() == r.second);
}
