#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <string_view>

#include <mta/core/text.hpp>
#include <mta/message/mime.hpp>

using namespace mta::message;

namespace {

bool eight_bit(std::string_view type, std::string_view encoding, std::string_view body) {
    mime_tracker mime;
    if (!type.empty())
        mime.primary_header("Content-Type", type);
    if (!encoding.empty())
        mime.primary_header("Content-Transfer-Encoding", encoding);
    mime.primary_end();
    for (std::size_t at = 0; at <= body.size();) {
        const auto end = std::min(body.find('\n', at), body.size());
        if (mime.active())
            mime.body_line(body.substr(at, end - at));
        at = end + 1;
    }
    return mime.eight_bit();
}

} // namespace

TEST_CASE("parameters are read through comments and quotes", "[message][mime]") {
    CHECK(header_parameter("multipart/mixed; boundary=foo", "boundary") == "foo");
    CHECK(header_parameter("multipart/mixed; x=\"a;b=c\"; BOUNDARY = \"f \\\"o\" ; y=z", "boundary") == "f \"o");
    CHECK(header_parameter("a/b (x; boundary=no); (c) boundary (d) = (e) yes", "boundary") == "yes");
    CHECK(header_parameter("a/b", "boundary").empty());
    CHECK(header_parameter("a/b; boundary", "boundary").empty());
    CHECK(header_parameter("a/b; boundary=\"", "boundary").empty());
}

TEST_CASE("8-bit text is seen wherever a header declares it", "[message][mime]") {
    CHECK(eight_bit("", "8bit", ""));
    CHECK(eight_bit("", "BINARY", ""));
    CHECK_FALSE(eight_bit("", "7bit", ""));
    CHECK_FALSE(eight_bit("", "base64", "Content-Transfer-Encoding: 8bit"));
    const std::string_view part = "x\n--b\nContent-Transfer-Encoding: 8bit\n\nx\n--b--\n";
    CHECK(eight_bit("multipart/mixed; boundary=b", "", part));
    CHECK_FALSE(eight_bit("text/plain; boundary=b", "", part));
    CHECK_FALSE(eight_bit("multipart/mixed; boundary=c", "", part));
    CHECK_FALSE(eight_bit("multipart/mixed; boundary=b", "", "--b\n\nContent-Transfer-Encoding: 8bit\n--b--\n"));
    CHECK_FALSE(eight_bit("multipart/mixed; boundary=b", "", "--b--\n--b\nContent-Transfer-Encoding: 8bit\n\n"));
    CHECK(eight_bit("multipart/mixed; boundary=b", "",
                    "--b\nContent-Type: multipart/alternative;\n boundary=\"c\"\n\n--c\nContent-Transfer-Encoding: 8bit\n\n"));
    CHECK(eight_bit("message/rfc822", "", "Content-Transfer-Encoding: 8bit\n\nx"));
    // A part may end within its header.
    CHECK(eight_bit("multipart/mixed; boundary=b", "", "--b\nContent-Transfer-Encoding:\n 8bit\n--b--\n"));
}

TEST_CASE("depth is bounded", "[message][mime]") {
    mime_tracker mime({.nesting = 3, .boundary_length = 4, .header = 100});
    mime.primary_header("Content-Type", "multipart/mixed; boundary=aaaa");
    mime.primary_end();
    for (int i = 0; i < 1000; ++i) {
        mime.body_line("--aaaa");
        mime.body_line("Content-Type: multipart/mixed; boundary=aaaa");
        mime.body_line("");
    }
    CHECK(mime.active());
    CHECK_FALSE(mime.eight_bit());
}
