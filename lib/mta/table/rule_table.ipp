#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/table/rule_table.hpp>

namespace mta::table {
namespace {

// A filter costs about as much as trying each rule a few times. The first match of a POSIX expression costs more than
// that, so there even a single query is worth one.
constexpr std::uint64_t worth_filtering = 2000;
constexpr std::size_t worth_filtering_at_once = 64;

std::string_view dialect_name(pattern_dialect dialect) noexcept {
    return dialect == pattern_dialect::pcre ? "pcre" : "regexp";
}

} // namespace

rule_table::rule_table(pattern_dialect dialect, const std::string& name, std::vector<rule> rules, file_mark mark)
    : lookup_table(std::string(dialect_name(dialect)) + ":" + name, {.patterns = true, .may_block = false}),
      dialect_(dialect), file_(name), rules_(std::move(rules)), mark_(std::move(mark)), seen_(rules_.size()),
      known_(rules_.size()) {}

void rule_table::build_filter() {
    std::vector<std::vector<literal_factor>> factors(rules_.size());
    has_words_.resize(rules_.size());
    for (std::uint32_t i = 0; i < rules_.size(); ++i) {
        factors[i] = required_literals(dialect_, rules_[i].source.what);
        has_words_[i] = !factors[i].empty();
        // Without the word a negated rule holds: it is tried always, and costs nothing then.
        if ((!has_words_[i] || rules_[i].source.what.negated) && !rules_[i].source.condition)
            always_.push_back(i);
    }
    filter_ = std::make_unique<literal_filter>(factors);
}

bool rule_table::filtered(std::string_view key) {
    if (!filter_) {
        const bool at_once = dialect_ == pattern_dialect::regexp && rules_.size() >= worth_filtering_at_once;
        if (!at_once && ((lookups_ - 1) * rules_.size() < worth_filtering || rules_.size() < 8))
            return false;
        build_filter();
    }
    candidates_.clear();
    filter_->candidates(lower(key), candidates_);
    for (const auto index : candidates_)
        seen_[index] = lookups_;
    candidates_.insert(candidates_.end(), always_.begin(), always_.end());
    std::ranges::sort(candidates_);
    return true;
}

result<std::optional<std::string>> rule_table::lookup(std::string_view key) {
    const std::string text(key);
    ++lookups_;
    filtering_ = filtered(text);
    const std::size_t count = filtering_ ? candidates_.size() : rules_.size();
    for (std::size_t i = 0; i < count; ++i) {
        const auto index = filtering_ ? candidates_[i] : static_cast<std::uint32_t>(i);
        const auto& one = rules_[index];
        if (one.source.condition || (filtering_ && i > 0 && candidates_[i - 1] == index))
            continue;
        auto outcome = all_hold(one.source.inside, text);
        if (outcome && *outcome)
            outcome = holds(index, text);
        if (!outcome)
            return tl::make_unexpected(outcome.error());
        if (*outcome) {
            last_line_ = one.source.line;
            return answer(one, text);
        }
    }
    return std::nullopt;
}

result<bool> rule_table::all_hold(std::uint32_t condition, std::string_view key) {
    if (condition == no_rule)
        return true;
    auto& known = known_[condition];
    if (known / 2 != lookups_) {
        // Outer conditions first: an inner pattern is never tried where they do not hold.
        const auto outer = all_hold(rules_[condition].source.inside, key);
        const auto outcome = outer && *outer ? holds(condition, key) : outer;
        if (!outcome)
            return outcome;
        known = lookups_ * 2 + (*outcome ? 1 : 0);
    }
    return known % 2 == 1;
}

result<bool> rule_table::holds(std::uint32_t index, std::string_view key) {
    auto& one = rules_[index];
    const auto trouble = [&](const error& reason) {
        return fail(errc::temporary,
                    rule_place(dialect_name(dialect_), file_, one.source.line) + reason.text());
    };
    bool outcome = false;
    if (!filtering_ || !has_words_[index] || seen_[index] == lookups_) {
        const auto matched = one.what->matches(key, groups_);
        if (!matched)
            return trouble(matched.error());
        outcome = *matched;
    }
    if (outcome == one.source.what.negated)
        return false;
    if (one.unless) {
        pattern_matcher::group_places ignored;
        const auto matched = one.unless->matches(key, ignored);
        if (!matched)
            return trouble(matched.error());
        return *matched == one.source.unless.negated;
    }
    return true;
}

std::string rule_table::answer(const rule& from, std::string_view key) const {
    std::string out;
    for (const auto& piece : from.source.value) {
        if (piece.group == 0)
            out += piece.text;
        else if (piece.group < groups_.size() && groups_[piece.group].first != std::string::npos)
            out += key.substr(groups_[piece.group].first, groups_[piece.group].second - groups_[piece.group].first);
    }
    return out;
}

std::string rule_table::last_place() const { return file_ + ":" + std::to_string(last_line_); }

} // namespace mta::table
