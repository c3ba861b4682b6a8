#include <catch2/catch.hpp>

#include <mta/table/text_source.hpp>

TEST_CASE("logical lines join continuations and skip comments", "[table][text_source]") {
    mta::table::line_reader lines("# comment\n\na 1\n  2\n# inside\n  3\nb x\n   \nc\n", "t");
    auto a = lines.next();
    REQUIRE(a);
    CHECK(a->text == "a 1  2  3");
    CHECK(a->line == 3);
    auto b = lines.next();
    REQUIRE(b);
    CHECK(b->text == "b x");
    CHECK(b->line == 7);
    CHECK(lines.next()->text == "c");
    CHECK_FALSE(lines.next());
}

TEST_CASE("a line ends at its first NUL, and nothing begins with white space", "[table][text_source]") {
    mta::table::line_reader lines(std::string_view(" a\nb\0c\n d\n", 10), "t");
    CHECK(lines.next()->text == "b");
    CHECK_FALSE(lines.next());
}

TEST_CASE("only UTF-8 lines are UTF-8 lines", "[table][text_source]") {
    const auto [text, is] = GENERATE(
        std::pair("plain text of more than one word", true), std::pair("plain text, then \xc3\xa9", true),
        std::pair("plain text, then \xc3", false), std::pair("\xff plain text", false), std::pair("short \xff", false));
    CAPTURE(text);
    mta::table::line_reader lines(text, "t");
    CHECK(mta::table::is_utf8_line(*lines.next()) == is);
}

TEST_CASE("a key ends at the first blank that no quotes protect", "[table][text_source]") {
    struct row {
        const char* text;
        const char* key;
        const char* value;
    };
    const auto [text, key, value] =
        GENERATE(row{"k v", "k", "v"}, row{"k\t v w \r", "k", "v w"}, row{"\"a b\" v", "\"a b\"", "v"},
                 row{"\"a\\\" b\" v", "\"a\\\" b\"", "v"}, row{"a\\ b c", "a\\ b", "c"});
    CAPTURE(text);
    const auto entry = mta::table::read_entry(text);
    REQUIRE(entry);
    CHECK(entry->key == key);
    CHECK(entry->value == value);
}

TEST_CASE("a line that is no entry says why", "[table][text_source]") {
    struct row {
        const char* text;
        const char* why;
    };
    const auto [text, why] = GENERATE(row{"k", "expected format: key whitespace value"},
                                      row{"k   ", "expected format: key whitespace value"},
                                      row{"\"k v", "unbalanced '\"' in '\"k v' -- ignoring this line"});
    CAPTURE(text);
    CHECK(mta::table::read_entry(text).error().text() == why);
}
