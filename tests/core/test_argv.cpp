#include <catch2/catch.hpp>

#include <mta/core/argv.hpp>

namespace {

struct parsed {
    std::string options;  // "a b=value …"
    std::string operands; // joined by "|"
};

parsed parse(std::vector<const char*> words, std::string_view spec) {
    std::FILE* quiet = std::fopen("/dev/null", "w");
    mta::option_reader reader(words, spec, "prog", quiet);
    parsed out;
    while (auto option = reader.next()) {
        out.options += option->letter;
        if (!option->value.empty())
            out.options.append("=").append(option->value);
        out.options += ' ';
    }
    for (const char* word : reader.operands())
        out.operands.append(word).append("|");
    std::fclose(quiet);
    return out;
}

} // namespace

TEST_CASE("historic options are read as getopt reads them", "[core][argv]") {
    struct row {
        const char* why;
        std::vector<const char*> words;
        const char* spec;
        const char* options;
        const char* operands;
    };
    const auto [why, words, spec, options, operands] = GENERATE(
        row{"a cluster", {"-abc"}, "abc", "a b c ", ""},
        row{"an attached value", {"-fme@x"}, "f:", "f=me@x ", ""},
        row{"a separate value", {"-f", "me@x", "you"}, "f:", "f=me@x ", "you|"},
        row{"a value that looks like an option", {"-f", "-x"}, "f:x", "f=-x ", ""},
        row{"the end of a cluster takes the value", {"-if", "me"}, "if:", "i f=me ", ""},
        row{"an optional value only attached", {"-q", "5"}, "q::", "q ", "5|"},
        row{"an optional value attached", {"-q5"}, "q::", "q=5 ", ""},
        row{"stop at the first operand", {"-a", "x", "-b"}, "ab", "a ", "x|-b|"},
        row{"two dashes end the options", {"-a", "--", "-b"}, "ab", "a ", "-b|"},
        row{"a lone dash is an operand", {"-"}, "a", "", "-|"},
        row{"brackets stay", {"-q", "[a@b]", "[c@d]"}, "q:", "q=[a@b] ", "[c@d]|"},
        row{"a long word is handed out", {"--json", "x"}, "a", "-=json ", "x|"},
        row{"an unknown letter", {"-z"}, "a", "? ", ""},
        row{"a missing value", {"-f"}, "f:", "? ", ""},
        row{"a colon is no option", {"-:"}, "a:", "? ", ""});
    CAPTURE(why);
    const auto got = parse(words, spec);
    CHECK(got.options == options);
    CHECK(got.operands == operands);
}
