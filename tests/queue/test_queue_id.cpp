#include <catch2/catch.hpp>
#include <mta/queue/queue_id.hpp>

using namespace mta::queue;

TEST_CASE("queue IDs are made and read as the reference makes them", "[queue][id]") {
    struct row {
        timeval when;
        ino_t inode;
        id_form form;
        std::string id;
    };
    // The first long one was seen on disk.
    const auto [when, inode, form, id] = GENERATE(
        row{{0, 0x39AAF}, 0xA90117, id_form::short_id, "39AAFA90117"},
        row{{0, 0}, 1, id_form::short_id, "000001"},
        row{{0, 999999}, 0xFFFFFFFFFFFFFFFF, id_form::short_id, "F423FFFFFFFFFFFFFFFFF"},
        row{{1795227048, 358420}, 13041674, id_form::long_id, "4jWbK42XXhz1vJ55"},
        row{{0, 0}, 0, id_form::long_id, "0000000000z0"});
    CHECK(make_queue_id(when, inode, form) == id);
    const auto parts = parse_queue_id(id);
    REQUIRE(parts);
    CHECK(parts->form == form);
    CHECK(parts->inode == inode);
    CHECK(parts->microseconds == when.tv_usec);
    if (form == id_form::long_id)
        CHECK(parts->seconds == when.tv_sec);
    CHECK(is_valid_queue_id(id));
}

TEST_CASE("every microsecond value survives the round trip", "[queue][id]") {
    const auto form = GENERATE(id_form::short_id, id_form::long_id);
    for (suseconds_t us = 0; us < 1000000; us += 997) {
        const auto parts = parse_queue_id(make_queue_id({1700000000, us}, static_cast<ino_t>(us) * 7919, form));
        REQUIRE(parts);
        CHECK((parts->microseconds == us && parts->inode == static_cast<ino_t>(us) * 7919));
    }
}

TEST_CASE("names that are no queue ID are told apart", "[queue][id]") {
    const std::string name = GENERATE("", "12345", "zzzzz", "39AAFa90117", "39AAF", "F4240A", "FFFFFA90117",
                                      "relay_test", "4jWbK42XXhz", "4jWaK42XXhz1vJ55", "39AAF11111111111111111");
    CAPTURE(name);
    CHECK(!parse_queue_id(name));
}

TEST_CASE("only letters, digits and underscores may stand in a queue file's name", "[queue][id]") {
    for (int c = 0; c < 256; ++c) {
        const std::string name = std::string("A") + static_cast<char>(c);
        const bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        CHECK(is_valid_queue_id(name) == good);
    }
    CHECK(is_valid_queue_id(std::string(255, 'A')));
    CHECK(!is_valid_queue_id(std::string(256, 'A')));
    CHECK(!is_valid_queue_id(""));
}

TEST_CASE("hash directories come from the fast digits of a name", "[queue][id]") {
    CHECK(hash_directories("39AAFA90117", 1) == "3/");
    CHECK(hash_directories("39AAFA90117", 2) == "3/9/");
    CHECK(hash_directories("4jWbK42XXhz1vJ55", 2) == "5/7/");
    CHECK(hash_directories("ab", 4) == "a/b/_/_/");
    CHECK(hash_directories("39AAFA90117", 0).empty());
}
