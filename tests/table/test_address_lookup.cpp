#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/address_lookup.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

namespace {

std::string find(const std::string& table, const std::string& address, address_lookup_options options = {}) {
    auto tables = maps::open("test", {table});
    options.recipient_delimiter = "+";
    options.is_ours = [](std::string_view domain) { return mta::result<bool>(domain == "ours.test"); };
    const auto found = find_address(*tables, address, options);
    if (!found)
        return "trouble";
    if (!*found)
        return "absent";
    return (*found)->value + "|" + (*found)->unmatched_extension;
}

} // namespace

TEST_CASE("addresses are looked up from the most to the least specific", "[table][address_lookup]") {
    struct row {
        const char* why;
        const char* table;
        const char* address;
        const char* answer;
    };
    const auto [why, table, address, answer] = GENERATE(
        row{"whole", "inline:{u+e@d.test=1, u@d.test=2}", "u+e@d.test", "1|"},
        row{"without extension", "inline:{u@d.test=2, @d.test=3}", "u+e@d.test", "2|+e"},
        row{"bare user of our domain", "inline:{u=4, @ours.test=3}", "u@ours.test", "4|"},
        row{"bare user with extension first", "inline:{u+e=5, u=4}", "u+e@ours.test", "5|"},
        row{"bare user, extension left", "inline:{u=4}", "u+e@ours.test", "4|+e"},
        row{"no bare user of other domains", "inline:{u=4}", "u@d.test", "absent"},
        row{"the domain", "inline:{@d.test=3}", "u+e@d.test", "3|+e"},
        row{"no domain at all", "inline:{u=4}", "u", "4|"}, row{"trouble", "fail:x", "u@d.test", "trouble"},
        row{"patterns once", "static:x", "u+e@d.test", "x|"});
    CAPTURE(why);
    CHECK(find(table, address) == answer);
}

TEST_CASE("a key may stand as in a header or without quotes", "[table][address_lookup]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "t", "\"u x\"@d.test 1\nu:y@d.test 2\n\"u:y\"@d.test 3\nu:z@d.test 4\n", 0644));
    CHECK(find("texthash:" + (dir / "t"), "u x@d.test") == "1|");
    CHECK(find("texthash:" + (dir / "t"), "u x+e@d.test") == "1|+e");
    CHECK(find("texthash:" + (dir / "t"), "u:y@d.test") == "3|");
    CHECK(find("texthash:" + (dir / "t"), "u:z@d.test") == "4|");
}

TEST_CASE("transport and access tables name domains", "[table][address_lookup]") {
    address_lookup_options options;
    options.bare_user = false;
    options.at_domain = false;
    options.plain_domain = true;
    CHECK(find("inline:{d.test=1}", "u@d.test", options) == "1|");
    CHECK(find("inline:{u@d.test=2, d.test=1}", "u+e@d.test", options) == "2|+e");
    CHECK(find("inline:{.d.test=1}", "u@a.b.d.test", options) == "1|");
    CHECK(find("inline:{d.test=1}", "u@b.d.test", options) == "absent");
    CHECK(find("inline:{@d.test=1, u=2}", "u@d.test", options) == "absent");
    CHECK(find("inline:{0.0.1]=1, .0.0.1]=1}", "u@[127.0.0.1]", options) == "absent");
    options.parents = parent_style::subdomains;
    CHECK(find("inline:{d.test=1}", "u@b.d.test", options) == "1|");
    CHECK(find("inline:{.d.test=1}", "u@b.d.test", options) == "absent");
}
