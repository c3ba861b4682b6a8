// Every row was run through the reference's postconf -x, whose answer stands in the third column.
#include <catch2/catch.hpp>

#include <map>

#include <mta/config/expand.hpp>

namespace config = mta::config;

namespace {
class map_source final : public config::macro_source {
public:
    std::optional<std::string_view> find(std::string_view name) override {
        const auto at = values_.find(name);
        return at == values_.end() ? std::nullopt : std::optional<std::string_view>(at->second);
    }

private:
    std::map<std::string, std::string, std::less<>> values_{
        {"a", "A"}, {"b", "B"}, {"e", ""}, {"u", "$nonesuch"}, {"loop", "$loop"}, {"deep", "${a?{<$b>}}"}};
};

struct row {
    const char* text;
    const char* expected;
};
} // namespace

TEST_CASE("text with references expands as in the reference", "[config][expand]") {
    const auto r = GENERATE(values<row>({
        {"", ""},
        {"plain", "plain"},
        {"$a", "A"},
        {"${a}", "A"},
        {"$(a)", "A"},
        {"$$a", "$a"},
        {"$$$$", "$$"},
        {"$a$b", "AB"},
        {"$a.b", "A.b"},
        {"$a-b", "A-b"},
        {"$1", ""},
        {"${ a }", "A"},
        {"${a?b}", "b"},
        {"${a:b}", ""},
        {"${a?}", ""},
        {"${z:}", ""},
        {"${a?b:c}", "b:c"},
        {"${z?b:c}", ""},
        {"${z:{b}}", "b"},
        {"${e?{yes}:{no}}", "no"},
        {"${u?{yes}:{no}}", "yes"},
        {"${a?{b c}:{d}}", "b c"},
        {"${z?{b c}:{d}}", "d"},
        {"${a ? {x} : {y}}", "x"},
        {"${a?{x}:y z}", "x"},
        {"${z?{x}: y z }", " y z "},
        {"${a? x }", " x "},
        {"${  }", ""},
        {"${a?x$a}", "xA"},
        {"${a?{$b}:{$a}}", "B"},
        {"${z?{$b}:{<$a>}}", "<A>"},
        {"${a?${b}}", "B"},
        {"${?x}", ""},
        {"${:x}", "x"},
        {"$(a?{x}:{y})", "x"},
        {"$(a?x)y", "xy"},
        {"${a?{(}}", "("},
        {"$deep", "<B>"},
        {"${{a} == {a} ? {y} : {n}}", "y"},
        {"${{a} == {b} ? {y} : {n}}", "n"},
        {"${{a}=={a}?{y}:{n}}", "y"},
        {"${{a} == {a} ? y : n}", " y : n"},
        {"${{a}=={b}:{n}}", "n"},
        {"${{a} == {a}}", "true"},
        {"${{a}!={a}}", ""},
        {"${{}=={}?{e}:{f}}", "e"},
        {"${{ a } == {a}?{1}:{2}}", "2"},
        {"${{$a} == {A}?{1}:{2}}", "1"},
        {"${{9} < {10} ? {y} : {n}}", "y"},
        {"${{010} == {10}?{1}:{2}}", "1"},
        {"${{a} < {b} ? {1}:{2}}", "1"},
        {"${{10} < {9a}?{y}:{n}}", "y"},
        {"${{3.6} <level {3.10} ? {y}:{n}}", "y"},
        {"${{3} ==level {3.0} ? {y}:{n}}", "y"},
        {"${{3.6.1} >level {3.6} ? {y}:{n}}", "y"},
        {"${{1} <=level {1} ? {y}:{n}}", "y"},
    }));
    CAPTURE(r.text);
    map_source source;
    const auto out = config::expand_macros(r.text, source);
    REQUIRE(out);
    CHECK(*out == r.expected);
}

TEST_CASE("bad references are errors that show the place", "[config][expand]") {
    const auto r = GENERATE(values<row>({
        {"${a", "truncated macro reference: \"${a\""},
        {"$(a", "truncated macro reference: \"$(a\""},
        {"${a?{x}", "truncated macro reference: \"${a?{x}\""},
        {"$", "empty macro name: \"$\""},
        {"x$ y", "empty macro name: \"x$ y\""},
        {"$-", "empty macro name: \"$-\""},
        {"${}", "empty macro name: \"${}\""},
        {"$()", "empty macro name: \"$()\""},
        {"$a$", "empty macro name: \"$a$\""},
        {"${a.b}", "attribute name syntax error at: \"...a>>>.b\""},
        {"${a!{x}}", "attribute name syntax error at: \"...a>>>!{x}\""},
        {"${a?{x} y}", "\":\" expected at: \"...x}>>>y\""},
        {"${a?{x}{y}}", "\":\" expected at: \"...x}>>>{y}\""},
        {"${a?{x}:{y}z}", "unexpected input at: \"...y}>>>z\""},
        {"${a:{x}:{y}}", "unexpected input at: \"...x}>>>:{y}\""},
        {"$(a?{)})", "unbalanced {} in attribute expression: \"{\""},
        {"${{3.6} >=level {x} ? {y}:{n}}", "malformed compatibility level syntax: \"x\""},
        {"${{} >level {3.6} ? {y}:{n}}", "malformed compatibility level syntax: \"\""},
        {"${{3.6.1.2} >level {3.6} ? {y}:{n}}", "malformed compatibility level syntax: \"3.6.1.2\""},
        {"${a ! b}", "attribute name syntax error at: \"...a>>> ! b\""},
        {"${{a} =~ {b}}",
         "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>=~ {b}\""},
        {"${{a}==b ? {c}}", "bad operator suffix at: \"...==>>>b\""},
        {"${{a}  ==  $b ? {c}}", "\"{expression}\" expected at: \"...{a} ==>>>  $b ? {c}\""},
        {"${{a} == {b} c}", "\"?\" or \":\" expected at: \"...}>>>c\""},
        {"${a!0123456789012345678901234}", "attribute name syntax error at: \"...a>>>!0123456789012345678\""},
        {"$loop", "unreasonable macro call nesting: \"loop\""},
    }));
    CAPTURE(r.text);
    map_source source;
    const auto out = config::expand_macros(r.text, source);
    REQUIRE(!out);
    CHECK(out.error().detail == r.expected);
}

TEST_CASE("a value taken as it is keeps its dollars", "[config][expand]") {
    map_source source;
    CHECK(*config::expand_macros("x $u", source, config::values_are::taken_as_is) == "x $nonesuch");
}

TEST_CASE("deeply nested braces end in an answer", "[config][expand]") {
    map_source source;
    std::string text;
    for (int i = 0; i < 20000; ++i)
        text += "${a?{";
    CHECK(!config::expand_macros(text, source));
    for (int i = 0; i < 20000; ++i)
        text += "}}";
    CHECK(!config::expand_macros(text, source));
}

TEST_CASE("names that double with every step end in an error, not in an endless wait", "[config][expand]") {
    class doubling final : public config::macro_source {
    public:
        std::optional<std::string_view> find(std::string_view name) override {
            const auto next = std::to_string(std::stoi(std::string(name.substr(1))) + 1);
            value_ = next == "60" ? "x" : "$n" + next + "$n" + next;
            return value_;
        }

    private:
        std::string value_;
    } source;
    const auto out = config::expand_macros("$n1", source);
    REQUIRE(!out);
    CHECK(out.error().code == mta::errc::too_large);
}

TEST_CASE("the names that a text refers to are found in every branch", "[config][expand]") {
    const auto found = config::referenced_names("$a ${b?c$d} ${e?{$f}:{$(g)}} ${{$h} == {x}?{${i}}} $$j");
    CHECK(found.names == std::vector<std::string>{"a", "b", "d", "e", "f", "g", "h", "i"});
    CHECK(found.trouble.empty());
    const auto broken = config::referenced_names("$a ${b");
    CHECK(broken.names == std::vector<std::string>{"a"});
    CHECK(broken.trouble == "truncated macro reference: \"$a ${b\"");
}
