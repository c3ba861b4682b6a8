#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include <mta/smtp/command.hpp>

using namespace mta::smtp;

TEST_CASE("a command line is split into words", "[smtp][command]") {
    struct row {
        std::string line;
        std::vector<std::string_view> words;
    };
    const auto r = GENERATE(values<row>({
        {"", {}},
        {"  \t ", {}},
        {"NOOP", {"NOOP"}},
        {" NOOP  x ", {"NOOP", "x"}},
        {"MAIL FROM:<a@b>", {"MAIL", "FROM:", "<a@b>"}},
        {"MAIL FROM: <a@b> SIZE=1", {"MAIL", "FROM:", "<a@b>", "SIZE=1"}},
        {"MAIL FROM : <a@b>", {"MAIL", "FROM", ":", "<a@b>"}},
        {"MAIL FROM:<a b@c> X", {"MAIL", "FROM:", "<a b@c>", "X"}},
        {"MAIL FROM:<\"a> b\"@c> X", {"MAIL", "FROM:", "<\"a> b\"@c>", "X"}},
        {"MAIL FROM:<a@b", {"MAIL", "FROM:", "<a@b"}},
        {"MAIL FROM:<\"a@b X", {"MAIL", "FROM:", "<\"a@b X"}},
        {"RCPT TO:<a@b>NOTIFY=NEVER", {"RCPT", "TO:", "<a@b>NOTIFY=NEVER"}},
        {"RCPT TO:<a@b> ORCPT=rfc822;a:b", {"RCPT", "TO:", "<a@b>", "ORCPT=rfc822;a:b"}},
        {"RCPT TO:<@a,@b:c@d>", {"RCPT", "TO:", "<@a,@b:c@d>"}},
    }));
    CAPTURE(r.line);
    REQUIRE(split_command(r.line) == r.words);
}

TEST_CASE("paths give the address in internal form", "[smtp][command]") {
    const auto [given, address] = GENERATE(table<std::string, std::string>({
        {"<>", ""},
        {"<bob@example.test>", "bob@example.test"},
        {"bob@example.test", "bob@example.test"},
        {"bob@example.test>", "bob@example.test"},
        {"<<a@b.test>>", "a@b.test"},
        {"< x@else.test >", "x@else.test"},
        {"<x@else .test>", "x@else.test"},
        {"<bob>", "bob"},
        {"<\"a b\"@c.test>", "a b@c.test"},
        {"<\"a\\\"b\"@b.test>", "a\"b@b.test"},
        {"<\"a\".\"b\"@else.test>", "a.b@else.test"},
        {"<a\\ b@else.test>", "a b@else.test"},
        {"<a\\@b@else.test>", "a@b@else.test"},
        {"<(c)a@b.test>", "a@b.test"},
        {"<x@(c)else.test>", "x@else.test"},
        {"<x(c)@else.test>", "x@else.test"},
        {"<@a,@b:bob@example.test>", "bob@example.test"},
        {"<@:x@else.test>", "x@else.test"},
        {"<@else.test>", "@else.test"},
        {"<x@else.test.>", "x@else.test."},
        {"<x@[1.2.3.4]>", "x@[1.2.3.4]"},
        {"<x@[IPv6:::1]>", "x@[IPv6:::1]"},
        {"<x@else.test,>", "x@else.test"},
        {"<a@b@else.test>", "a@b@else.test"},
        {"<x!y@else.test>", "x!y@else.test"},
        {"<x%y>", "x%y"},
        {"<|x@else.test>", "|x@else.test"},
        {"</x@else.test>", "/x@else.test"},
        {"<a@b_c.test>", "a@b_c.test"},
        {"<.a..b.@b.test>", ".a..b.@b.test"},
        {"<\"\"@else.test>", "@else.test"},
    }));
    CAPTURE(given);
    const auto got = parse_path(given, path_policy::lenient);
    REQUIRE(got);
    REQUIRE(*got == address);
}

TEST_CASE("bad paths are malformed", "[smtp][command]") {
    const auto given = GENERATE(
        as<std::string>(), "<a b@else.test>", "<x@else..test>", "<x@.else.test>", "<x@[1.2.3]>",
        "<\"a@else.test>", "<a\"b\"c@else.test>", "<(c)>", "<x@else.test", "<x@1.2.3.4>", "<x@-else.test>",
        "<x@else.test..>", "<@a.test x@else.test>", "<@a.test:>", "<\"\">", "<@>", "<x@>", "<a,b@b.test>",
        "<a;b@b.test>", "<x;y>", "<x@else.test:y>", "<a@b.test>x", "<x@els\x01.test>", "<x@el\xc3\xa9.test>",
        "(", "<(>", "<\\>", "<a\\", "<[@b>", "<\"\\>", "<@", "<<", ",");
    CAPTURE(given);
    // A list that holds nothing is the empty address.
    const auto got = parse_path(given, path_policy::lenient);
    if (given == "," || given == "<<")
        SUCCEED();
    else
        REQUIRE_FALSE(got);
}

TEST_CASE("strict paths have brackets", "[smtp][command]") {
    REQUIRE(parse_path("<a@b.test>", path_policy::strict));
    REQUIRE_FALSE(parse_path("a@b.test", path_policy::strict));
}

TEST_CASE("every cut of an address is parsed without harm", "[smtp][command]") {
    const std::string text = "<@r,@s:\"q\\\"d\" . x(c(d)\\))@[IPv6:::1]>,\\";
    for (std::size_t from = 0; from <= text.size(); ++from)
        for (std::size_t size = 0; size <= text.size() - from; ++size)
            (void)parse_path(text.substr(from, size), path_policy::lenient);
}

TEST_CASE("xtext is decoded only to printable ASCII", "[smtp][command]") {
    REQUIRE(decode_xtext("a+2Bb") == "a+b");
    REQUIRE(decode_xtext("") == "");
    for (const char* bad : {"+", "+2", "+zz", "a+0Ab", "+00", "+E9", "\xe9", "a\tb", "+7F"}) {
        CAPTURE(bad);
        REQUIRE_FALSE(decode_xtext(bad));
    }
    std::string all;
    for (char c = 0x20; c < 0x7f; ++c)
        all += c;
    REQUIRE(decode_xtext(encode_xtext(all)) == all);
    REQUIRE(encode_xtext("a b=c+d\n") == "a+20b+3Dc+2Bd+0A");
}

TEST_CASE("NOTIFY and RET take their words only", "[smtp][command]") {
    REQUIRE(parse_notify("NEVER") == notify_never);
    REQUIRE(parse_notify("success,failure,DELAY") == (notify_success | notify_failure | notify_delay));
    for (const char* bad :
         {"", "x", "NEVER,FAILURE", "FAILURE,NEVER", "DELAY,DELAY", "SUCCESS,", ",SUCCESS"}) {
        CAPTURE(bad);
        REQUIRE_FALSE(parse_notify(bad));
    }
    REQUIRE(parse_ret("full") == ret_full);
    REQUIRE(parse_ret("HDRS") == ret_headers);
    REQUIRE_FALSE(parse_ret("x"));
}
