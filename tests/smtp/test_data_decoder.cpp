#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <mta/smtp/data_decoder.hpp>

using mta::smtp::bare_newline;
using mta::smtp::data_decoder;

namespace {

struct outcome {
    std::string text; // lines with "\n", pieces with "|"
    bool ended = false;
    std::size_t unused = 0;
};

// Feeds the bytes in the pieces that the cuts make.
outcome decode(std::string_view bytes, const std::vector<std::size_t>& cuts, bare_newline policy,
               std::size_t limit = 2048) {
    data_decoder decoder(limit, policy);
    outcome out;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size() && !out.ended; ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : bytes.size();
        const std::string piece(
            bytes.substr(from, to - from)); // a buffer of its own: views must not outlive it
        std::string_view input = piece;
        for (;;) {
            const auto kind = decoder.feed(input);
            if (kind == data_decoder::kind::more)
                break;
            if (kind == data_decoder::kind::end) {
                out.ended = true;
                break;
            }
            out.text += decoder.text();
            out.text += decoder.unterminated() ? '|' : '\n';
        }
        from = to;
        out.unused = input.size() + (bytes.size() - to);
    }
    return out;
}

struct row {
    const char* why;
    std::string bytes;
    std::string text;
};

std::string with_nul() {
    return std::string("a\r\n\0.\r\nb\r\n.\r\n", 13);
}

} // namespace

TEST_CASE("only CRLF dot CRLF ends the data, wherever the bytes are cut", "[smtp][data]") {
    const auto r = GENERATE(values<row>({
        {"plain", "a\r\nb\r\n.\r\n", "a\nb\n"},
        {"empty", ".\r\n", ""},
        {"LF dot LF", "a\n.\nb\r\n.\r\n", "a\nb\n"},
        {"LF dot CRLF", "a\n.\r\nb\r\n.\r\n", "a\nb\n"},
        {"CRLF dot LF", "a\r\n.\nb\r\n.\r\n", "a\nb\n"},
        {"CR dot CR", "a\r.\rb\r\n.\r\n", "a\r.\rb\n"},
        {"CRLF dot CR", "a\r\n.\rb\r\n.\r\n", "a\n\rb\n"},
        {"CRLF dot CRCRLF", "a\r\n.\r\r\nb\r\n.\r\n", "a\n\r\nb\n"},
        {"CRCRLF dot CRLF is a line end with a CR before it", "a\r\r\n.\r\n", "a\r\n"},
        {"CRLF NUL dot CRLF", with_nul(), std::string("a\n\0.\nb\n", 7)},
        {"first line LF", ".\nb\r\n.\r\n", "b\n"},
        {"two bare ends", "a\n\n.\r\n\r\n.\r\n", "a\n\n\n"},
        {"dots unstuffed", "..\r\n...\r\n.x\r\n. \r\n.\r\n", ".\n..\nx\n \n"},
        {"CR first", "\r.\r\n\r\n.\r\n", "\r.\n\n"},
    }));
    CAPTURE(r.why);
    const auto policy = GENERATE(bare_newline::normalize, bare_newline::note, bare_newline::reject);
    const std::string tail = "NOOP\r\n";
    const std::string bytes = r.bytes + tail;
    for (std::size_t first = 0; first <= bytes.size(); ++first)
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            const auto got = decode(bytes, {first, second}, policy);
            REQUIRE(got.ended);
            REQUIRE(got.text == r.text);
            REQUIRE(got.unused == tail.size());
        }
    std::vector<std::size_t> every(bytes.size());
    for (std::size_t i = 0; i < every.size(); ++i)
        every[i] = i;
    REQUIRE(decode(bytes, every, policy).text == r.text);
}

TEST_CASE("by the old policy a bare newline ends lines and data", "[smtp][data]") {
    const auto bytes = GENERATE(as<std::string>(), "a\n.\n", "a\n.\r\n", "a\r\n.\n", "a\r\n.\r\n");
    const auto got = decode(bytes, {}, bare_newline::accept);
    REQUIRE(got.ended);
    REQUIRE(got.text == "a\n");
}

TEST_CASE("an end of data cut off anywhere is no end", "[smtp][data]") {
    const std::string bytes = "a\r\n.\r\n";
    for (std::size_t size = 0; size < bytes.size(); ++size)
        REQUIRE_FALSE(decode(std::string_view(bytes).substr(0, size), {}, bare_newline::normalize).ended);
}

TEST_CASE("long lines come in pieces of the limit and keep their line ends", "[smtp][data]") {
    const std::size_t limit = 8;
    const auto length = GENERATE(range<std::size_t>(1, 40));
    const auto end = GENERATE(as<std::string>(), "\r\n", "\n", "\r\r\n");
    const std::string line(length, 'x');
    const std::string bytes = line + end + "y\r\n.\r\n";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        const auto got = decode(bytes, {cut}, bare_newline::normalize, limit);
        REQUIRE(got.ended);
        std::string joined;
        std::size_t piece = 0;
        for (const char c : got.text) {
            piece = c == '|' || c == '\n' ? 0 : piece + 1;
            REQUIRE(piece <= limit);
            if (c != '|')
                joined += c;
        }
        REQUIRE(joined == line + (end.size() == 3 ? "\r" : "") + "\ny\n");
    }
}

TEST_CASE("a dot at the start of a later piece of a line is no start of a line", "[smtp][data]") {
    const auto got = decode("xxxxxxxx.\r\n.\r\n", {}, bare_newline::normalize, 8);
    REQUIRE(got.ended);
    REQUIRE(got.text == "xxxxxxxx|.\n");
}

TEST_CASE("a chunk has lines but no dots, and its rest comes at the end", "[smtp][data]") {
    const std::string bytes = "a\r\n.\r\n..b\nc\r";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        data_decoder decoder(2048, bare_newline::normalize);
        std::string text;
        for (const auto& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
            std::string_view input = piece;
            while (decoder.feed_chunk(input) == data_decoder::kind::line)
                text += std::string(decoder.text()) + "\n";
        }
        REQUIRE(text == "a\n.\n..b\n");
        REQUIRE(decoder.finish_chunks());
        REQUIRE(decoder.text() == "c\r");
        REQUIRE_FALSE(decoder.finish_chunks());
        REQUIRE(decoder.saw_bare_newline());
    }
}
