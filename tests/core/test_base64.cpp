#include <catch2/catch.hpp>

#include <string>

#include <mta/core/base64.hpp>

TEST_CASE("base64 is RFC 4648's", "[core][base64]") {
    struct row {
        std::string in;
        std::string out;
    };
    const auto [in, out] = GENERATE(row{"", ""}, row{"f", "Zg=="}, row{"fo", "Zm8="}, row{"foo", "Zm9v"},
                                    row{"foob", "Zm9vYg=="}, row{"fooba", "Zm9vYmE="}, row{"foobar", "Zm9vYmFy"},
                                    row{std::string("\0\xff\xfe\x80", 4), "AP/+gA=="});
    CHECK(mta::to_base64(in) == out);
}
