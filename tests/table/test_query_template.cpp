#include <catch2/catch.hpp>

#include <mta/table/answer_builder.hpp>
#include <mta/table/query_template.hpp>
#include <mta/table/sql_query.hpp>

using mta::table::query_template;
using mta::table::sql_context;
using mta::table::sql_dialect;

namespace {

query_template parsed(std::string_view text) { return query_template::parse(text, "query", "x.cf").value(); }

void in_brackets(std::string& out, std::string_view bytes) {
    out += '[';
    out += bytes;
    out += ']';
}

mta::table::client_settings settings(std::initializer_list<std::pair<const char*, const char*>> values) {
    std::vector<std::pair<std::string, std::string>> copy(values.begin(), values.end());
    return {"/x.cf", [copy](const std::string& name) -> std::optional<std::string> {
                for (const auto& [key, value] : copy)
                    if (key == name)
                        return value;
                return std::nullopt;
            }};
}

} // namespace

TEST_CASE("a query takes parts of the key, or is not sent", "[table][template]") {
    struct row {
        const char* text;
        const char* key;
        const char* expected; // nullptr: not sent
    };
    const auto [text, key, expected] = GENERATE(values<row>({
        {"k='%s'", "a@b.c", "k='[a@b.c]'"},
        {"%u of %d", "a@b.c", "[a] of [b.c]"},
        {"%U of %D, %S", "a@b.c", "[a] of [b.c], [a@b.c]"},
        {"%u", "plain", "[plain]"},
        {"%u", "@b.c", nullptr},
        {"%u", "a@", "[a]"},
        {"%d", "plain", nullptr},
        {"%d", "a@", nullptr},
        {"%u@%d", "a@b@c", "[a@b]@[c]"},
        {"%1.%2.%3", "a@x.y.z", "[z].[y].[x]"},
        {"%4", "a@x.y.z", nullptr},
        {"%2", "a@x..z", "[x]"},
        {"%1", "a@.", nullptr},
        {"100%% %s", "a", "100% [a]"},
        {"%s", "%s", "[%s]"},
        {"none", "a", "none"},
    }));
    CAPTURE(text, key);
    const auto query = parsed(text).expand(key, in_brackets);
    CHECK(query == (expected == nullptr ? std::nullopt : std::optional<std::string>(expected)));
}

TEST_CASE("what follows a percent sign is checked when the table is opened", "[table][template]") {
    for (const char* text : {"%", "a%", "%x", "%0", "% s", "%%%"}) {
        CAPTURE(text);
        CHECK(query_template::parse(text, "query", "x.cf").error().text().starts_with("x.cf: invalid query template \""));
    }
}

TEST_CASE("values are formatted, joined and counted", "[table][template]") {
    const auto read = [](const char* format, const char* limit) {
        return mta::table::answer_format::read(settings({{"result_format", format}, {"expansion_limit", limit}})).value();
    };
    const auto format = read("%u/%D", "2");
    mta::table::answer_builder answer(format, "k@d.org");
    CHECK(answer.add("a@b"));
    CHECK(answer.add("@b"));
    CHECK(answer.add(""));
    CHECK(answer.add("c"));
    CHECK(answer.empty_values() == 1);
    CHECK(answer.add("e").error().code == mta::errc::temporary);
    CHECK(std::move(answer).finish() == "a/d.org,c/d.org");
    const auto domains = read("%d", "0");
    mta::table::answer_builder none(domains, "k");
    CHECK(none.add("plain"));
    CHECK(std::move(none).finish() == std::nullopt);
    CHECK_FALSE(read("%D", "0").format.accepts_key("plain"));
    CHECK_FALSE(mta::table::answer_format::read(settings({{"expansion_limit", "x"}})));
    CHECK(mta::table::answer_format::read(settings({{"result_format", ""}})).error().text() ==
          "/x.cf: bad string length 0 < 1: result_format = ");
}

TEST_CASE("a template's quotes decide how a key is quoted", "[table][template]") {
    struct row {
        const char* text;
        sql_dialect dialect;
        sql_context expected;
    };
    const auto [text, dialect, expected] = GENERATE(values<row>({
        {"k='%s'", sql_dialect::mysql, sql_context::single_quotes},
        {"k=\"%s\"", sql_dialect::mysql, sql_context::double_quotes},
        {"k=%s", sql_dialect::mysql, sql_context::bare},
        {"'a' = %s", sql_dialect::mysql, sql_context::bare},
        {"'it''s %s'", sql_dialect::mysql, sql_context::single_quotes},
        {"'it\\'s %s'", sql_dialect::mysql, sql_context::single_quotes},
        {"'\\' = '%s'", sql_dialect::sqlite, sql_context::single_quotes},
        {"'\"' = %s", sql_dialect::sqlite, sql_context::bare},
        {"`%s`", sql_dialect::mysql, sql_context::bare},
        {"E'%s'", sql_dialect::postgresql, sql_context::escape_string},
        {"'%s'", sql_dialect::postgresql, sql_context::single_quotes},
        {"$$%s$$", sql_dialect::postgresql, sql_context::bare},
    }));
    CAPTURE(text);
    CHECK(mta::table::find_contexts(parsed(text), dialect) == std::vector<sql_context>{expected});
}

TEST_CASE("the older parameters make the query of the books", "[table][template]") {
    const auto older = settings({{"select_field", "goto"}, {"table", "alias"}, {"where_field", "address"},
                                 {"additional_conditions", "and active = '1'"}, {"select_function", "find"}});
    const auto quote = [](std::string& out, std::string_view bytes, sql_context) { out += bytes; };
    CHECK(mta::table::sql_query::read(older, sql_dialect::mysql)->expand("k", quote) ==
          "SELECT goto FROM alias WHERE address = 'k' and active = '1'");
    CHECK(mta::table::sql_query::read(older, sql_dialect::postgresql)->expand("k", quote) == "SELECT find('k')");
    CHECK(mta::table::sql_query::read(settings({}), sql_dialect::mysql).error().text() ==
          "/x.cf: bad string length 0 < 1: table = ");
    const auto bare = mta::table::sql_query::read(settings({{"query", "select %s"}}), sql_dialect::mysql);
    CHECK(bare->expand("a_1.b", quote) == "select a_1.b");
    CHECK(bare->expand("1 or 1", quote) == std::nullopt);
}
