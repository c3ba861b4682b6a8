#include <catch2/catch.hpp>

#include <mta/delivery/request.hpp>

using namespace mta::delivery;

TEST_CASE("a delivery request survives the way there and back", "[delivery][request]") {
    request out;
    out.serial = 7;
    out.queue_id = "3F2A";
    out.transport = "smtp";
    out.nexthop = "[127.0.0.1]:25";
    out.sender = "me@example.com";
    out.message_size = 1234;
    out.data_offset = 97;
    out.arrival = {100, 5};
    out.reuse = true;
    out.client = {{"client_name", "host"}, {"client_address", "127.0.0.1"}};
    out.recipients = {{300, "a@x", "", "rfc822;a@x", 14}, {400, "b@x", "c@x", "", 0}};
    const auto in = request::parse(out.encode());
    REQUIRE(in);
    CHECK(in->serial == 7);
    CHECK(in->nexthop == "[127.0.0.1]:25");
    CHECK(in->arrival.tv_sec == 100);
    CHECK(in->arrival.tv_usec == 5);
    CHECK(in->reuse);
    CHECK(in->client == out.client);
    REQUIRE(in->recipients.size() == 2);
    CHECK(in->recipients[0].notify == 14);
    CHECK(in->recipients[1].original == "c@x");
    CHECK(in->recipients[1].offset == 400);
}

TEST_CASE("a response survives the way there and back", "[delivery][request]") {
    response out;
    out.serial = 9;
    out.dead_destination = "connect to x: Connection refused";
    recipient_result one;
    one.offset = 5;
    one.outcome = outcome::bounced;
    one.dsn = "5.1.1";
    one.reason = "no such user";
    out.recipients = {one};
    const auto in = response::parse(out.encode());
    REQUIRE(in);
    CHECK(in->dead_destination == out.dead_destination);
    REQUIRE(in->recipients.size() == 1);
    CHECK(in->recipients[0].outcome == outcome::bounced);
    CHECK(in->recipients[0].reason == "no such user");
}

TEST_CASE("a damaged frame is an error", "[delivery][request]") {
    request whole;
    whole.recipients = {{300, "a@x", "", "", 0}};
    const auto bytes = whole.encode();
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_FALSE(request::parse(std::string_view(bytes).substr(0, size)));
    CHECK_FALSE(request::parse(mta::attr_writer().put("recipient", "before its offset").finish()));
    CHECK_FALSE(response::parse(mta::attr_writer().put("offset", 1).put("outcome", 9).finish()));
}
