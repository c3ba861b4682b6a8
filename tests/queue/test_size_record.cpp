#include <catch2/catch.hpp>
#include <mta/queue/size_record.hpp>

using namespace mta::queue;

TEST_CASE("the size record is 95 bytes and comes back", "[queue][size]") {
    const size_record fields{294, 250, 3, 12, 294, 1};
    const auto text = format_size_record(fields);
    CHECK(text.size() == size_record_data);
    CHECK(text.substr(0, 31) == "            294             250");
    const auto read = parse_size_record(text);
    REQUIRE(read);
    CHECK(*read == fields);
}

TEST_CASE("older size records have fewer fields", "[queue][size]") {
    CHECK(*parse_size_record("5 6 7") == size_record{5, 6, 7, 0, 0, 0});
    CHECK(*parse_size_record("5 6 7 8 9") == size_record{5, 6, 7, 8, 9, 0});
    CHECK(*parse_size_record("-1 -1 -1 -1 -1 32") == size_record{0, 0, 0, 0, 0, 32});
}

TEST_CASE("anything else is a bad size record", "[queue][size]") {
    const std::string text = GENERATE("", "1", "1 2", "1 2 3 4 5 6 7", "1 x 3", "-2 1 1", "99999999999999999999 1 1");
    CAPTURE(text);
    const auto read = parse_size_record(text);
    REQUIRE(!read);
    CHECK(read.error().code == mta::queue::errc::bad_size_record);
}
