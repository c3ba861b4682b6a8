#include <catch2/catch.hpp>

#include <mta/delivery/aliases.hpp>

using namespace mta::delivery;

namespace {
using list = std::vector<destination>;
destination mail(std::string value) { return {destination_kind::address, std::move(value)}; }
destination command(std::string value) { return {destination_kind::command, std::move(value)}; }
destination file(std::string value) { return {destination_kind::file, std::move(value)}; }
destination include(std::string value) { return {destination_kind::include, std::move(value)}; }
} // namespace

TEST_CASE("an alias names addresses, files, commands and lists", "[delivery][aliases]") {
    struct row {
        const char* why;
        std::string text;
        list wanted;
    };
    const auto r = GENERATE(values<row>({
        {"nothing", "", {}},
        {"blanks and commas", " , ,, ", {}},
        {"one", "root", {mail("root")}},
        {"two", "joe, jane@example.com", {mail("joe"), mail("jane@example.com")}},
        {"a comment", "joe (the boss, really), jane", {mail("joe"), mail("jane")}},
        {"a quoted local part with a comma", "\"joe, jr\"@example.com, x", {mail("joe, jr@example.com"), mail("x")}},
        {"a name before the address", "Joe <joe@example.com>", {mail("joe@example.com")}},
        {"a backslash keeps the account", "\\joe, jane", {mail("\\joe"), mail("jane")}},
        {"a file", "/var/mail/archive", {file("/var/mail/archive")}},
        {"a maildir", "/var/mail/archive/", {file("/var/mail/archive/")}},
        {"a quoted file", "\"/var/mail/a b\"", {file("/var/mail/a b")}},
        {"a command in quotes", "\"|/bin/prog -x 'a b', c\"", {command("/bin/prog -x 'a b', c")}},
        {"quotes inside a quoted command", "\"|prog \\\"a b\\\"\"", {command("prog \"a b\"")}},
        {"a command without quotes", "|/bin/prog", {command("/bin/prog")}},
        {"quotes after the bar", "|\"/bin/prog a\"", {command("\"/bin/prog a\"")}},
        {"a list file", ":include:/etc/list", {include("/etc/list")}},
        {"a list file in capitals and quotes", "\":INCLUDE:/etc/my list\"", {include("/etc/my list")}},
        {"quotes inside the list's name", ":include:\"/etc/my list\"", {include("/etc/my list")}},
        {"an unterminated quote ends with the text", "\"|prog a, b", {command("prog a, b")}},
    }));
    CAPTURE(r.why);
    CHECK(parse_destinations(r.text) == r.wanted);
}

TEST_CASE("a destination file has comments and a list on each line", "[delivery][aliases]") {
    CHECK(parse_destination_file("# people\njoe, jane\n\n  # more\n  jim\nlast") ==
          list{mail("joe"), mail("jane"), mail("jim"), mail("last")});
    CHECK(parse_destination_file("\\joe\n/tmp/x\n") == list{mail("\\joe"), file("/tmp/x")});
}

TEST_CASE("a million commas and an open parenthesis are no work", "[delivery][aliases][C5]") {
    CHECK(parse_destinations(std::string(1000000, ',')).empty());
    (void)parse_destinations(std::string(100000, '('));
    (void)parse_destinations(std::string(100000, '"'));
}
