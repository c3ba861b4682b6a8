// A table of rules in order: the first whose pattern matches (and whose enclosing "if"s hold) answers.
//
// What regexp and pcre have in common. The type gives a matcher a rule; this class knows order, if/endif, negation and
// substitution, and which rules need not be tried at all: once enough lookups were made to pay for it, rules are
// filtered by the text that they cannot match without (literal_filter.hpp). The answer is the same either way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/table/file_mark.hpp>
#include <mta/table/literal_filter.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/rule_source.hpp>

namespace mta::table {

class pattern_matcher {
public:
    virtual ~pattern_matcher() = default;
    // Where the groups of the last match were; (npos, npos) for a group that took no part. Group 0 is the whole.
    using group_places = std::vector<std::pair<std::size_t, std::size_t>>;

    // key.data()[key.size()] is NUL. groups is only written when the rule's result refers to groups.
    // An error: the pattern could not be tried to its end.
    [[nodiscard]] virtual result<bool> matches(std::string_view key, group_places& groups) = 0;
};

class rule_table final : public lookup_table {
public:
    struct rule {
        pattern_rule source;
        std::unique_ptr<pattern_matcher> what;
        std::unique_ptr<pattern_matcher> unless; // may be none
    };
    rule_table(pattern_dialect dialect, const std::string& name, std::vector<rule> rules, file_mark mark);

    [[nodiscard]] result<std::optional<std::string>> lookup(std::string_view key) override;
    [[nodiscard]] bool changed() const override { return mark_.changed(); }
    [[nodiscard]] std::string last_place() const override;

private:
    [[nodiscard]] result<bool> holds(std::uint32_t index, std::string_view key);
    [[nodiscard]] result<bool> all_hold(std::uint32_t condition, std::string_view key);
    [[nodiscard]] bool filtered(std::string_view key);
    void build_filter();
    [[nodiscard]] std::string answer(const rule& from, std::string_view key) const;

    pattern_dialect dialect_;
    std::string file_;
    std::vector<rule> rules_;
    file_mark mark_;
    std::unique_ptr<literal_filter> filter_;
    std::vector<bool> has_words_;            // known to the filter
    std::vector<std::uint32_t> always_;      // to be tried for every key
    std::vector<std::uint32_t> candidates_;
    std::vector<std::uint64_t> seen_;        // lookup in which the filter named the rule
    std::vector<std::uint64_t> known_;       // conditions: lookup * 2 + outcome
    std::uint64_t lookups_ = 0;
    bool filtering_ = false; // in this lookup
    pattern_matcher::group_places groups_;
    int last_line_ = 0;
};

} // namespace mta::table
