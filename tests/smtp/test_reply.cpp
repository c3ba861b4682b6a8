#include <catch2/catch.hpp>

#include <string>

#include <mta/smtp/reply.hpp>

using namespace mta::smtp;

TEST_CASE("replies are read whole, however the bytes arrive", "[smtp][reply]") {
    const std::string bytes = "250-mx.test\r\n250-SIZE 10\r\n250 DSN\r\n354\r\n550 5.1.1 no such user\n";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        reply_reader reader;
        std::vector<reply> got;
        for (const auto& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
            std::string_view input = piece;
            for (;;) {
                auto one = reader.feed(input);
                REQUIRE(one);
                if (!*one)
                    break;
                got.push_back(std::move(**one));
            }
        }
        REQUIRE(got.size() == 3);
        REQUIRE(got[0].lines == std::vector<std::string>{"mx.test", "SIZE 10", "DSN"});
        REQUIRE(got[0].text() == "250 mx.test SIZE 10 DSN");
        REQUIRE(got[1].code == 354);
        REQUIRE(got[1].lines == std::vector<std::string>{""});
        REQUIRE(got[2].enhanced() == status_code{5, 1, 1});
        REQUIRE_FALSE(reader.partial());
    }
}

TEST_CASE("what is no reply is malformed and stays so", "[smtp][reply]") {
    const auto bytes = GENERATE(as<std::string>(), "\r\n", "hello\r\n", "25 x\r\n", "2500 x\r\n", "250x\r\n",
                                "650 x\r\n", "050 x\r\n", "250-a\r\n251 b\r\n");
    reply_reader reader;
    std::string_view input = bytes;
    REQUIRE_FALSE(reader.feed(input));
    input = "250 ok\r\n";
    REQUIRE_FALSE(reader.feed(input));
}

TEST_CASE("a reply is bounded in line length, kept text and size", "[smtp][reply]") {
    reply_reader reader({.line_length = 10, .kept = 17, .total = 100});
    std::string_view input = "250-0123456789\r\n250-b\r\n250-2.1.1 c\r\n250 2.2.2 last\r\n250 2.3.3\n";
    auto got = reader.feed(input);
    REQUIRE(got);
    REQUIRE((*got)->lines == std::vector<std::string>{"012345", "b"});
    REQUIRE((*got)->line_cut);
    REQUIRE((*got)->lines_dropped);
    // The last line decides, kept or not.
    REQUIRE((*got)->enhanced() == status_code{2, 2, 2});
    // Nothing of that is left for the next reply.
    got = reader.feed(input);
    REQUIRE(got);
    REQUIRE_FALSE((*got)->line_cut);
    REQUIRE_FALSE((*got)->lines_dropped);
    REQUIRE((*got)->enhanced() == status_code{2, 3, 3});
}

TEST_CASE("the kept text of a reply is bounded, however it is parted into lines", "[smtp][reply]") {
    for (const std::size_t length : {0U, 1U, 100U, 2000U, 3000U}) {
        std::string bytes;
        for (std::size_t i = 0; bytes.size() < 300'000; ++i)
            bytes += "451-" + std::string(length, 'x') + "\r\n";
        bytes += "451 4.5.5 end\r\n";
        reply_reader reader;
        std::string_view input = bytes;
        const auto got = reader.feed(input);
        CAPTURE(length);
        REQUIRE(got);
        REQUIRE((*got)->text().size() < 4200);
        REQUIRE((*got)->enhanced() == status_code{4, 5, 5});
    }
}

TEST_CASE("a reply over its whole size is an error", "[smtp][reply]") {
    reply_reader reader({.line_length = 10, .kept = 17, .total = 100});
    std::string much;
    while (much.size() <= 100)
        much += "250-x\r\n";
    std::string_view input = much;
    const auto over = reader.feed(input);
    REQUIRE_FALSE(over);
    REQUIRE(over.error().code == mta::errc::too_large);
}

TEST_CASE("composed replies have one line a line, without control bytes", "[smtp][reply]") {
    REQUIRE(compose_reply(250, "ok") == "250 ok\r\n");
    REQUIRE(compose_reply(550, "a\nb\rc") == "550-a\r\n550 b?c\r\n");
}

TEST_CASE("status codes are recognised at the start of a text", "[smtp][status]") {
    REQUIRE(parse_status_code("5.7.1 no") == status_code{5, 7, 1});
    REQUIRE(parse_status_code("4.123.999")->text() == "4.123.999");
    for (const char* bad :
         {"", "5", "5.", "5.7", "5.7.", "3.1.1", "5.1234.1", "5.1.1234", "5.1.1x", "5..1", "1.1.1"}) {
        CAPTURE(bad);
        REQUIRE_FALSE(parse_status_code(bad));
    }
}
