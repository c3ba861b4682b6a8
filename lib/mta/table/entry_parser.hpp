// How a source line becomes an entry: "key value" for postmap, "name: value, value" for postalias.
//
// No I/O. Safe on hostile input (fuzz_table_sources).
#pragma once

#include <memory>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::table {

struct source_entry {
    std::string_view key;
    std::string_view value;
    std::string_view remark; // a warning; the entry counts all the same
};

class entry_parser {
public:
    virtual ~entry_parser() = default;
    // One logical line of source. What is answered stays until the next call. The error is a warning's text
    // ("expected format: key whitespace value").
    [[nodiscard]] virtual result<source_entry> parse(std::string_view line) = 0;
};

// Keys keep their quotes.
[[nodiscard]] std::unique_ptr<entry_parser> postmap_parser();
// Names lose their quotes and hold no domain; values are put in one form: a blank behind each comma.
[[nodiscard]] std::unique_ptr<entry_parser> postalias_parser();

} // namespace mta::table
