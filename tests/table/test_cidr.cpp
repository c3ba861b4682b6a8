#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/table/registry.hpp>

#include "../support/temporary_directory.hpp"

namespace {

mta::table::table_ptr table_of(const std::string& rules) {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "r", rules, 0600));
    auto table = mta::table::open_table("cidr:" + (dir / "r"));
    REQUIRE(table);
    return std::move(*table);
}

} // namespace

TEST_CASE("cidr rules", "[table][cidr]") {
    struct row {
        const char* why;
        const char* rules;
        const char* key;
        const char* answer;
    };
    const auto [why, rules, key, answer] = GENERATE(
        row{"an address", "192.0.2.1 x", "192.0.2.1", "x"}, row{"a network", "192.0.2.0/24 x", "192.0.2.9", "x"},
        row{"outside", "192.0.2.0/24 x", "192.0.3.9", "absent"},
        row{"the first rule wins, not the longest", "192.0.0.0/16 wide\n192.0.2.1 narrow", "192.0.2.1", "wide"},
        row{"longest first if written first", "192.0.2.1 narrow\n192.0.0.0/16 wide", "192.0.2.1", "narrow"},
        row{"everything", "0.0.0.0/0 x", "203.0.113.7", "x"}, row{"but not of the other family", "0.0.0.0/0 x", "::1", "absent"},
        row{"IPv6", "2001:db8::/32 x", "2001:db8:1::1", "x"}, row{"with brackets", "[2001:db8::]/32 x", "2001:db8::1", "x"},
        row{"brackets around all", "[2001:db8::/32] x", "2001:db8::1", "x"},
        row{"negation", "!192.0.2.0/24 x", "192.0.3.1", "x"}, row{"negation misses", "!192.0.2.0/24 x", "192.0.2.1", "absent"},
        row{"if", "if 192.0.2.0/24\n0.0.0.0/0 in\nendif\n0.0.0.0/0 out", "192.0.2.1", "in"},
        row{"if not taken", "if 192.0.2.0/24\n0.0.0.0/0 in\nendif\n0.0.0.0/0 out", "192.0.3.1", "out"},
        row{"host bits are a mistake", "192.0.2.1/24 x", "192.0.2.1", "absent"},
        row{"a name is no address", "0.0.0.0/0 x", "host.test", "absent"},
        row{"nor are odd spellings", "0.0.0.0/0 x", "010.0.0.1", "absent"});
    CAPTURE(why);
    CHECK(table_of(rules)->lookup(key).value().value_or("absent") == answer);
}

TEST_CASE("the tree answers as a search in order does", "[table][cidr]") {
    std::string rules;
    unsigned state = 7;
    const auto draw = [&](unsigned below) { return (state = state * 1103515245U + 12345U) / 65536U % below; };
    struct rule {
        unsigned bytes;
        unsigned bits;
    };
    std::vector<rule> all;
    for (int i = 0; i < 500; ++i) {
        const unsigned bits = draw(17);
        const unsigned bytes = bits == 0 ? 0 : (draw(65536) >> (16 - bits)) << (16 - bits);
        all.push_back({bytes, bits});
        rules += "10." + std::to_string(bytes / 256) + "." + std::to_string(bytes % 256) + ".0/" + std::to_string(bits == 0 ? 8 : 8 + bits) +
                 " " + std::to_string(i) + "\n";
    }
    const auto table = table_of(rules);
    int wrong = 0;
    for (unsigned key = 0; key < 65536; key += 13) {
        std::string expected = "absent";
        for (std::size_t i = 0; i < all.size() && expected == "absent"; ++i)
            if (all[i].bits == 0 || key >> (16 - all[i].bits) == all[i].bytes >> (16 - all[i].bits))
                expected = std::to_string(i);
        const auto address = "10." + std::to_string(key / 256) + "." + std::to_string(key % 256) + ".5";
        wrong += table->lookup(address).value().value_or("absent") == expected ? 0 : 1;
    }
    CHECK(wrong == 0);
}
