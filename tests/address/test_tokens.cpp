#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>

using namespace mta::address;

namespace {

using words = std::vector<std::string>;

struct row {
    const char* value;
    words addresses;
};

// The list put together again, folding points as blanks, each address in braces.
std::string shown(std::string_view value) {
    auto items = parse_addresses(value);
    for (auto& it : items)
        if (it.kind == item_kind::address)
            it.text = '{' + it.text + '}';
    auto out = format_addresses(items);
    for (char& c : out)
        if (c == '\n')
            c = ' ';
    return out;
}

} // namespace

TEST_CASE("the addresses of RFC 5322's examples are found", "[address][tokens]") {
    const auto r = GENERATE(
        row{"John Doe <jdoe@machine.example>", {"jdoe@machine.example"}},
        row{"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            {"mary@x.test", "jdoe@example.org", "one@y.test"}},
        row{"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            {"boss@nil.test", "sysservices@example.net"}},
        row{"A Group:Ed Jones <joe@where.test>,John <jdoe@one.test>;", {"joe@where.test", "jdoe@one.test"}},
        row{"Undisclosed recipients:;", {}},
        row{"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", {"pete@silly.test"}},
        row{"A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n         joe@example.org,\n"
            "  John <jdoe@one.test> (my dear friend); (the end of the group)",
            {"c@public.example", "joe@example.org", "jdoe@one.test"}},
        row{"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", {}},
        row{"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            {"@node.test:mary@example.net", "jdoe@test.example"}},
        row{"\"Joe Q. Public\" <john.q.public@example.com>", {"john.q.public@example.com"}},
        row{"Joe Q. Public <a@b>", {"a@b"}}, row{"joe@[192.0.2.1]", {"joe@[192.0.2.1]"}},
        row{"john q public", {"john", "q", "public"}}, row{"<>", {""}}, row{"", {}}, row{" \t\n", {}},
        row{"\"a b\"@c", {"a b@c"}}, row{"a\\ b", {"a b"}}, row{"(only comment)", {}});
    CAPTURE(r.value);
    CHECK(addresses_in(r.value) == r.addresses);
}

TEST_CASE("a list is put together again with its names, comments and groups", "[address][tokens]") {
    struct pair {
        const char* value;
        const char* shown;
    };
    // What the reference shows once an address of the field is rewritten (tests/interop/sendmail.py).
    const auto r = GENERATE(
        pair{"a, b", "{a}, {b}"}, pair{"Carl (x) <carl>", "Carl (x) <{carl}>"},
        pair{"(x) Carl <carl> (y)", "(x) Carl <{carl}>(y)"}, pair{"Carl <carl (in)> z", "Carl <{carl} (in)>, {z}"},
        pair{"(cmt) x (foo\n bar)", "{x} (cmt) (foo  bar)"}, pair{"grp: a, b;, c", "grp: {a}, {b};, {c}"},
        pair{"a (c) b", "{a}, {b} (c)"}, pair{"a(x)@(y)b, c", "{a@b} (x) (y), {c}"}, pair{"a,,b,", "{a}, , {b}, "},
        pair{"joe q. public <a>", "joe q.public <{a}>"}, pair{"<a> <b>", "<{a}> <{b}>"},
        pair{"a <b> c <d>", "a <{b}>c <{d}>"}, pair{"a; c <d>", "{a};c <{d}>"}, pair{"a:b", "{a:b}"},
        pair{"g: a; h: b;", "g:a;h: {b};"}, pair{"\\\"a\\\" <b>", "\"\\\"a\\\"\" <{b}>"},
        pair{"a: (x) b;", "a: {b} (x);"}, pair{"a;b", "{a};, {b}"});
    CAPTURE(r.value);
    CHECK(shown(r.value) == r.shown);
}

TEST_CASE("formatting and parsing again finds the same addresses", "[address][tokens]") {
    std::ifstream file(TESTDATA "/address/corpus.txt", std::ios::binary);
    REQUIRE(file.good());
    int rows = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with('#'))
            continue;
        CAPTURE(line);
        const auto once = format_addresses(parse_addresses(line));
        const auto twice = format_addresses(parse_addresses(once));
        CHECK(addresses_in(once).size() == addresses_in(twice).size());
        ++rows;
    }
    CHECK(rows > 100);
}

TEST_CASE("the token limit cuts a value off", "[address][tokens]") {
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "a,";
    CHECK(addresses_in(many, 9).size() == 5);
    CHECK(addresses_in(many, 10).size() == 5);
    CHECK(addresses_in(many, 11).size() == 6);
    CHECK(addresses_in(many, 100000).size() == 1000);
}

TEST_CASE("one typed address becomes internal", "[address][tokens]") {
    CHECK(to_internal("Joe <joe@example.com>") == "joe@example.com");
    CHECK(to_internal("\"x y\"@z") == "x y@z");
    CHECK(to_internal("") == "");
    CHECK(first_address("a, b") == "a");
}
