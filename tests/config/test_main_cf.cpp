#include <catch2/catch.hpp>

#include <mta/config/main_cf.hpp>

namespace config = mta::config;

namespace {
struct row {
    const char* text;
    std::vector<std::string> expected; // "name=value@line"
};
} // namespace

TEST_CASE("logical lines become settings", "[config][main_cf]") {
    const auto r = GENERATE(values<row>({
        {"", {}},
        {"\n\n# only\n  # comments\n", {}},
        {"a = b", {"a=b@1"}},
        {"a=b\n", {"a=b@1"}},
        {"a =\n", {"a=@1"}},
        {"a = b = c\n", {"a=b = c@1"}},
        {"# x\na = 1\n  2\n# y\n  3\n\n\t4\nb = 5\n", {"a=1  2  3\t4@2", "b=5@8"}},
        {"a = 1 \r\nb = 2\r\n", {"a=1@1", "b=2@2"}},
        {"a = x\\\n y\n", {"a=x\\ y@1"}},
        {"a = #no comment\n", {"a=#no comment@1"}},
        {"a = 1\na = 2\n", {"a=1@1", "a=2@2"}},
        {" a = skipped\nb = 1\n", {"b=1@2"}},
    }));
    CAPTURE(r.text);
    const auto file = config::parse_main(r.text, "/x/main.cf");
    REQUIRE(file);
    std::vector<std::string> seen;
    for (const auto& entry : file->settings)
        seen.push_back(entry.name + "=" + entry.value + "@" + std::to_string(entry.line));
    CHECK(seen == r.expected);
}

TEST_CASE("a line that is no setting is an error with file and line", "[config][main_cf]") {
    using bad = std::pair<const char*, const char*>;
    const auto r = GENERATE(values<bad>({
        {"a = 1\n\nbogus line\n", "/x/main.cf, line 3: missing '=' after attribute name: \"bogus line\""},
        {"myorigin\n", "/x/main.cf, line 1: missing '=' after attribute name: \"myorigin\""},
        {"foo bar = z\n", "/x/main.cf, line 1: missing '=' after attribute name: \"foo bar = z\""},
        {"= z\n", "/x/main.cf, line 1: missing attribute name: \"= z\""},
    }));
    const auto file = config::parse_main(r.first, "/x/main.cf");
    REQUIRE(!file);
    CHECK(file.error().text() == r.second);
}

TEST_CASE("a continuation of nothing is skipped with a warning", "[config][main_cf]") {
    const auto file = config::parse_main("  x = y\n", "/x/main.cf");
    REQUIRE(file);
    CHECK(file->warnings ==
          std::vector<std::string>{"/x/main.cf: logical line must not start with whitespace: \"  x = y\""});
}
