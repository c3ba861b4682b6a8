// Tells in one pass over a text which of many groups of words can occur in it.
//
// Each rule enters with its factors (pattern_literals.hpp). From the factor that is rarest among all rules, a window of
// 8, 4, 2 or 1 bytes of each word goes into a hash table; a rule is a candidate when one of its windows is in the text.
// So an answer may hold rules that do not match, and never lacks one that does. Time grows with the text and the
// candidates, not with the rules. No I/O. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <mta/table/pattern_literals.hpp>

namespace mta::table {

class literal_filter {
public:
    // One entry a rule; rules without factors are never candidates: they are the caller's to remember.
    explicit literal_filter(const std::vector<std::vector<literal_factor>>& rules);

    // Appends the rules whose words may be in text, which must be in lower case. A rule may come more than once.
    void candidates(std::string_view text, std::vector<std::uint32_t>& to) const;

private:
    struct slot {
        std::uint64_t window = 0;
        std::uint32_t first = 0; // in postings_
        std::uint32_t count = 0; // 0: free
    };
    struct width_table {
        std::size_t width = 0;
        std::vector<slot> slots; // a power of two, or empty
        std::vector<std::uint64_t> present; // a bit for each hash value: most windows of a text are in no table
    };
    void fill(width_table& table, std::vector<std::pair<std::uint64_t, std::uint32_t>>& entries);

    std::array<width_table, 4> tables_;
    std::vector<std::uint32_t> postings_;
};

} // namespace mta::table
