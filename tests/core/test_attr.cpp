#include <catch2/catch.hpp>

#include <mta/core/attr.hpp>

using namespace std::string_literals;

TEST_CASE("an attribute list survives the way there and back", "[core][attr]") {
    const auto bytes = mta::attr_writer().put("request", "rewrite").put("size", 42).put("empty", "").finish();
    CHECK(bytes == "request\0rewrite\0size\00042\0empty\0\0\0"s);
    const auto list = mta::attr_list::parse(bytes);
    REQUIRE(list);
    CHECK(list->get("request") == "rewrite");
    CHECK(list->number("size") == 42);
    CHECK(list->find("empty") == std::string_view());
    CHECK_FALSE(list->find("absent"));
}

TEST_CASE("a list cut at any byte is truncated, never accepted", "[core][attr]") {
    const auto bytes = mta::attr_writer().put("a", "b").put("cc", "dd").finish();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        const auto list = mta::attr_list::parse(std::string_view(bytes).substr(0, size));
        REQUIRE_FALSE(list);
        CHECK(list.error().code == mta::errc::truncated);
    }
}

TEST_CASE("a NUL in a value cannot break the framing", "[core][attr]") {
    const auto bytes = mta::attr_writer().put("a", "x\0\0evil\0y"s).finish();
    const auto list = mta::attr_list::parse(bytes);
    REQUIRE(list);
    CHECK(list->pairs().size() == 1);
    CHECK(list->get("a") == "xevily");
}

TEST_CASE("lists may follow each other", "[core][attr]") {
    const auto bytes = mta::attr_writer().put("a", "1").finish() + mta::attr_writer().put("b", "2").finish();
    std::size_t used = 0;
    REQUIRE(mta::attr_list::parse(bytes, &used));
    const auto second = mta::attr_list::parse(std::string_view(bytes).substr(used));
    REQUIRE(second);
    CHECK(second->get("b") == "2");
}
