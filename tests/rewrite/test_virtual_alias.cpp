#include <catch2/catch.hpp>

#include <mta/core/text.hpp>
#include <mta/rewrite/virtual_alias.hpp>

#include "configured.hpp"

namespace {

std::string expand(const std::string& table, const std::string& address, const std::string& settings = {}) {
    auto aliases = mta::rewrite::virtual_alias::open(
        mta::test::configured("recipient_delimiter = +\nvirtual_alias_maps = " + table + "\n" + settings));
    REQUIRE(aliases);
    const auto out = aliases->expand(address);
    return out ? mta::join(*out, " ") : "error: " + out.error().code.message();
}

} // namespace

TEST_CASE("virtual alias expansion", "[rewrite][virtual_alias]") {
    struct row {
        const char* why;
        const char* table;
        const char* address;
        const char* out;
    };
    const auto [why, table, address, out] = GENERATE(
        row{"nobody knows it", "inline:{a@x.test=b@y.test}", "c@x.test", "c@x.test"},
        row{"one", "inline:{a@x.test=b@y.test}", "a@x.test", "b@y.test"},
        row{"several", "inline:{{a@x.test = b@y.test, c@y.test}}", "a@x.test", "b@y.test c@y.test"},
        row{"recursive", "inline:{a@x.test=b@x.test, b@x.test=c@x.test}", "a@x.test", "c@x.test"},
        row{"a copy stays", "inline:{{a@x.test = a@x.test, b@y.test}}", "a@x.test", "a@x.test b@y.test"},
        row{"a whole domain", "inline:{@x.test=@y.test}", "u@x.test", "u@y.test"},
        row{"the domain to one", "inline:{@x.test=all@y.test}", "u@x.test", "all@y.test"},
        row{"the extension goes along", "inline:{a@x.test=b@y.test}", "a+e@x.test", "b+e@y.test"},
        row{"a bare target is ours", "inline:{a@x.test=b}", "a@x.test", "b@home.test"},
        row{"a bare key of our domain", "inline:{a=b@y.test}", "a@home.test", "b@y.test"},
        row{"the first takes its place", "inline:{{v2@x.test = v1@x.test, v2@x.test}, {v1@x.test = x1@y.test, y1@y.test}}",
            "v2@x.test", "x1@y.test v2@x.test y1@y.test"},
        row{"a circle", "inline:{a@x.test=b@x.test, b@x.test=a@x.test}", "a@x.test", "error: too large"},
        row{"trouble", "fail:", "a@x.test", "error: temporary failure"});
    CAPTURE(why);
    CHECK(expand(table, address) == out);
}

TEST_CASE("an expansion without end is an error", "[rewrite][virtual_alias]") {
    CHECK(expand("inline:{{a@x.test = b@x.test, c@x.test}, {b@x.test = d@x.test, e@x.test}}", "a@x.test",
                 "virtual_alias_expansion_limit = 2\n") == "error: too large");
    CHECK(expand("inline:{a@x.test=a+e@x.test}", "a@x.test").size() > 0); // ends, whatever it gives
}
