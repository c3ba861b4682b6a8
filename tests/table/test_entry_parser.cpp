#include <catch2/catch.hpp>

#include <mta/table/entry_parser.hpp>

TEST_CASE("lines of an alias file", "[table][entry_parser]") {
    struct row {
        const char* line;
        const char* key;
        const char* value;
    };
    const auto [line, key, value] = GENERATE(
        row{"root: joe", "root", "joe"}, row{"a:b@x.test,c", "a", "b@x.test, c"}, row{"\"a b\": c", "a b", "c"},
        row{"\"a@b\": c", "a@b", "c"}, row{"a\\%b: c", "a%b", "c"}, row{"a: \"|/bin/x  y\"", "a", "\"|/bin/x  y\""},
        row{"a: :include:/x", "a", ":include:/x"}, row{"a: (x) b", "a", "(x) b"}, row{"a: b<c>d", "a", "b <c>d"},
        row{"a b :c   d", "a b", "c d"}, row{"[c\\d]: [a\\]", "[cd]", "[a]]"});
    CAPTURE(line);
    const auto parser = mta::table::postalias_parser();
    const auto entry = parser->parse(line);
    REQUIRE(entry);
    CHECK(entry->key == key);
    CHECK(entry->value == value);
}

TEST_CASE("lines that are no alias", "[table][entry_parser]") {
    struct row {
        const char* line;
        const char* why;
    };
    const auto [line, why] =
        GENERATE(row{"root joe", "need name:value pair"}, row{": joe", "need name:value pair"},
                 row{"root:", "need name:value pair"}, row{"a,b: c", "need name:value pair"},
                 row{"a@b: c", "name must be local"}, row{"a%b: c", "name must be local"});
    CAPTURE(line);
    CHECK(mta::table::postalias_parser()->parse(line).error().text() == why);
}

TEST_CASE("a key with a colon is remarked upon", "[table][entry_parser]") {
    const auto entry = mta::table::postmap_parser()->parse("a: b");
    REQUIRE(entry);
    CHECK(entry->remark == "record is in \"key: value\" format; is this an alias file?");
}
