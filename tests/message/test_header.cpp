#include <catch2/catch.hpp>

#include <mta/message/header.hpp>

using namespace mta::message;

TEST_CASE("a header line has a printable name and a colon", "[message][header]") {
    struct row {
        const char* line;
        std::size_t length;
    };
    const auto r = GENERATE(row{"To: x", 2}, row{"To:", 2}, row{"To :x", 2}, row{"To \t: x", 2}, row{"X-Foo:bar", 5},
                            row{"", 0}, row{":x", 0}, row{" To: x", 0}, row{"To", 0}, row{"To x: y", 0},
                            row{"T\xc3\xa9: y", 0}, row{"a\x7f: y", 0}, row{"http://x", 4}, row{"From x y", 0});
    CAPTURE(r.line);
    CHECK(header_name_length(r.line) == r.length);
}

TEST_CASE("known headers are found in any case", "[message][header]") {
    REQUIRE(find_header("mEsSaGe-iD") != nullptr);
    CHECK(find_header("mEsSaGe-iD")->id == header_id::message_id);
    CHECK(find_header("apparently-to")->recipient);
    CHECK(find_header("TO")->extract);
    CHECK(find_header("Resent-Bcc")->drop);
    CHECK(find_header("Resent-Bcc")->resent);
    CHECK(find_header("Sender")->sender);
    CHECK(find_header("X-To") == nullptr);
    CHECK(find_header("") == nullptr);
    CHECK(find_header("T") == nullptr);
    CHECK(find_header("Tot") == nullptr);
    for (const char* name : {"Bcc", "Cc", "Content-Length", "Content-Type", "Date", "From", "MIME-Version", "Received",
                             "Reply-To", "Return-Path", "Subject", "TLS-Required", "Errors-To", "Mail-Followup-To"})
        CHECK(find_header(name) != nullptr);
}

TEST_CASE("a logical header is split into name and value", "[message][header]") {
    const auto split = split_header("Subject :  a\n b");
    REQUIRE(split);
    CHECK(split->name == "Subject");
    CHECK(split->value == "a\n b");
    CHECK(unfold(split->value) == "a b");
    CHECK(split_header("To:")->value.empty());
    CHECK_FALSE(split_header("no header"));
}

TEST_CASE("a list of addresses is folded under 70 bytes a line", "[message][header]") {
    const auto folded = [](const std::string& value) {
        std::string out;
        append_folded(out, "To", value);
        return out;
    };
    CHECK(folded("a") == "To: a");
    CHECK(folded("a,\nb") == "To: a, b");
    const std::string wide(63, 'x');
    CHECK(folded("a,\n" + wide.substr(0, 62)) == "To: a, " + wide.substr(0, 62)); // 69 in all
    CHECK(folded("a,\n" + wide) == "To: a,\n\t" + wide);
    CHECK(folded("a,\n" + std::string(100, 'y') + ",\nb") == "To: a,\n\t" + std::string(100, 'y') + ",\n\tb");
}
