// Dot stuffing, line ends and folding of outgoing text, cut at every place.
#include <catch2/catch.hpp>

#include <mta/smtp/data_encoder.hpp>

using namespace mta::smtp;

namespace {

std::string encode(const std::vector<std::string>& lines, std::size_t limit = 998) {
    data_encoder encoder(limit);
    std::string out;
    for (const auto& line : lines)
        encoder.line(out, line, false);
    encoder.finish(out);
    return out;
}

} // namespace

TEST_CASE("lines that begin with a dot get another", "[smtp][client][data]") {
    CHECK(encode({"a", ".", "..", ".b", "c."}) == "a\r\n..\r\n...\r\n..b\r\nc.\r\n.\r\n");
    CHECK(encode({}) == ".\r\n");
    CHECK(encode({""}) == "\r\n.\r\n");
}

TEST_CASE("the result does not depend on where a line was cut", "[smtp][client][data]") {
    const std::string line = GENERATE(as<std::string>{}, ".", "..", ".hello.", "a.b", "", "x", "1234567", "12345678",
                                      "123456789", ".2345678", ".23456789.1234567.12345678", "1234567.........");
    const std::size_t limit = GENERATE(std::size_t{0}, std::size_t{8}, std::size_t{998});
    const std::string whole = encode({"before", line, "after"}, limit);
    for (std::size_t first = 0; first <= line.size(); ++first) {
        for (std::size_t second = first; second <= line.size(); ++second) {
            data_encoder encoder(limit);
            std::string out;
            encoder.line(out, "before", false);
            encoder.line(out, std::string_view(line).substr(0, first), true);
            encoder.line(out, std::string_view(line).substr(first, second - first), true);
            encoder.line(out, std::string_view(line).substr(second), false);
            encoder.line(out, "after", false);
            encoder.finish(out);
            CHECK(out == whole);
        }
    }
}

TEST_CASE("long lines are folded with a blank, at and around the limit", "[smtp][client][data]") {
    CHECK(encode({"12345678"}, 8) == "12345678\r\n.\r\n");
    CHECK(encode({"123456789"}, 8) == "12345678\r\n 9\r\n.\r\n");
    CHECK(encode({std::string(8 + 7, 'x')}, 8) == "xxxxxxxx\r\n xxxxxxx\r\n.\r\n");
    CHECK(encode({std::string(8 + 8, 'x')}, 8) == "xxxxxxxx\r\n xxxxxxx\r\n x\r\n.\r\n");
    CHECK(encode({"12345678.9"}, 8) == "12345678\r\n .9\r\n.\r\n");
}

TEST_CASE("a line left open is ended before the mark", "[smtp][client][data]") {
    data_encoder encoder;
    std::string out;
    encoder.line(out, "open", true);
    encoder.finish(out);
    CHECK(out == "open\r\n.\r\n");
}

TEST_CASE("no bare line feed leaves", "[smtp][client][data]") {
    CHECK(encode({"a\n.\nb"}) == "a\r\n..\r\nb\r\n.\r\n");
    CHECK(encode({"\n.\n"}) == "\r\n..\r\n\r\n.\r\n");
}
