// The source of rule tables (regexp, pcre, cidr): a file, or "{ {rule}, {rule} }" in the table's name; and the rule
// syntax that regexp and pcre share:
//
//     /pattern/flags result       !/pattern/ result       if /pattern/ … endif, nested
//
// A broken rule is reported and skipped; the others count. Patterns are cut out here and compiled by the table type.
// No I/O beyond reading the file; parse_rules() is safe on hostile input (fuzz_table_sources).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/file_mark.hpp>

namespace mta::table {

struct rule_source {
    std::string text;
    file_mark mark;
};

// type is for messages ("regexp map: …").
[[nodiscard]] result<rule_source> read_rules(std::string_view type, const std::string& name);

// Puts rules in the order of the file and knows for each one which "if" it stands in.
inline constexpr std::uint32_t no_rule = 0xFFFFFFFFU;

struct pattern {
    std::string text; // without delimiters; a backslash before the delimiter is gone
    std::string flags;
    bool negated = false;
};

// A piece of a result: literal text, or the number of a group.
struct result_piece {
    std::string text;
    unsigned group = 0; // 0: text
};

struct pattern_rule {
    pattern what;
    pattern unless;                  // regexp only: "/a/!/b/", matches a and not b; empty text and flags: none
    bool has_unless = false;
    bool condition = false;          // an "if"
    std::uint32_t inside = no_rule;  // index of the enclosing "if"
    int line = 0;
    unsigned highest_group = 0;
    std::vector<result_piece> value;
};

enum class pattern_dialect { regexp, pcre };

// Where a rule stands, for messages: "regexp map FILE, line 7: ".
[[nodiscard]] std::string rule_place(std::string_view type, const std::string& name, int line);

// Every rule that can be read, and a warning for each that cannot (notices.hpp). accept() compiles the patterns of a
// rule; when it answers false (having said why) the rule is dropped.
[[nodiscard]] std::vector<pattern_rule> parse_rules(pattern_dialect dialect, const std::string& name,
                                                    std::string_view text,
                                                    const std::function<bool(const pattern_rule&)>& accept,
                                                    bool say_warnings = true);

// postmap -F: each result is a list of files, and becomes what they hold as base64. One that cannot be read is reported
// and becomes empty.
void take_files(std::string_view type, const std::string& name, std::vector<pattern_rule>& rules);

} // namespace mta::table
