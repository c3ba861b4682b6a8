#include <algorithm>
#include <optional>
#include <utility>

#include <mta/core/text.hpp>
#include <mta/table/pattern_literals.hpp>

namespace mta::table {
namespace {

class literal_finder {
public:
    literal_finder(pattern_dialect dialect, std::string_view text) : pcre_(dialect == pattern_dialect::pcre), text_(text) {}

    std::vector<literal_factor> run() {
        auto found = alternatives(0);
        if (at_ < text_.size())
            lost_ = true; // a ")" too many
        return lost_ ? std::vector<literal_factor>{} : found;
    }

private:
    using factors = std::vector<literal_factor>;
    enum class repeat { once, at_least_once, optional };

    static constexpr int deepest = 40;
    static constexpr std::size_t most_words = 24;

    [[nodiscard]] bool more() const noexcept { return !lost_ && at_ < text_.size(); }
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }

    // a|b: one of the words that either side needs.
    factors alternatives(int depth) {
        lost_ = lost_ || depth > deepest;
        auto out = sequence(depth);
        bool several = false;
        literal_factor either;
        while (more() && peek() == '|') {
            ++at_;
            if (!several)
                either = best(out);
            several = true;
            const auto side = best(sequence(depth));
            if (side.empty() || either.empty() || either.size() + side.size() > most_words)
                either.clear();
            else
                either.insert(either.end(), side.begin(), side.end());
        }
        if (!several)
            return out;
        return either.empty() ? factors{} : factors{either};
    }
    // The factor whose shortest word is longest.
    static literal_factor best(const factors& from) {
        literal_factor out;
        std::size_t length = 0;
        for (const auto& one : from) {
            std::size_t shortest = std::string::npos;
            for (const auto& word : one)
                shortest = std::min(shortest, word.size());
            if (shortest > length) {
                length = shortest;
                out = one;
            }
        }
        return out;
    }

    factors sequence(int depth) {
        factors out;
        std::string run;
        const auto flush = [&] {
            if (!run.empty())
                out.push_back({std::exchange(run, {})});
        };
        while (more() && peek() != '|' && peek() != ')') {
            const char c = text_[at_++];
            if (c == '(') {
                flush();
                auto inner = group(depth);
                if (quantifier() != repeat::optional)
                    out.insert(out.end(), inner.begin(), inner.end());
            } else if (c == '[') {
                flush();
                skip_class();
                (void)quantifier();
            } else if (const auto literal = literal_of(c)) {
                const auto times = quantifier();
                if (times != repeat::optional)
                    run += to_lower(*literal);
                if (times != repeat::once)
                    flush();
            } else {
                flush();
                (void)quantifier();
            }
        }
        flush();
        return out;
    }

    // The character that c (with what follows a backslash) stands for; nullopt for what is no single character.
    std::optional<char> literal_of(char c) {
        if (c == '.' || c == '^' || c == '$')
            return std::nullopt;
        if (c == '*' || c == '+' || c == '?' || (c == '{' && !pcre_) || c == '\0') {
            lost_ = true;
            return std::nullopt;
        }
        if (c == '{') {
            // Where a bound cannot begin it is a brace; what looks like one had better be left alone.
            lost_ = lost_ || peek() == ',' || (peek() >= '0' && peek() <= '9');
            return c;
        }
        if (c != '\\')
            return c;
        const char escaped = peek();
        ++at_;
        const std::string_view harmless = pcre_ ? "dDwWsShHvVRNbBAzZGtnrfea" : "wWsSbB<>`'";
        if (harmless.find(escaped) != std::string_view::npos || (escaped >= '1' && escaped <= '9'))
            return std::nullopt;
        const char folded = to_lower(escaped);
        if ((folded >= 'a' && folded <= 'z') || escaped == '0' || escaped == '\0')
            lost_ = true;
        return escaped;
    }

    factors group(int depth) {
        bool counts = true;
        if (peek() == '*' && pcre_) {
            lost_ = true;
        } else if (peek() == '?') {
            const bool behind = peek(1) == '<';
            const char kind = peek(behind ? 2 : 1);
            counts = !behind && kind == ':';
            if (!pcre_ || (kind != '=' && kind != '!' && !counts))
                lost_ = true;
            at_ += behind ? 3 : 2;
        }
        auto inner = alternatives(depth + 1);
        if (peek() != ')')
            lost_ = true;
        ++at_;
        return counts ? inner : factors{};
    }

    void skip_class() {
        if (peek() == '^')
            ++at_;
        bool first = true;
        for (; more() && (first || peek() != ']'); first = false) {
            const char next = peek(1);
            if (peek() == '[' && (next == ':' || next == '.' || next == '=')) {
                const auto end = text_.find(std::string{next, ']'}, at_ + 2);
                if (end == std::string_view::npos)
                    lost_ = true;
                else
                    at_ = end + 1;
            } else if (peek() == '\\' && pcre_) {
                lost_ = lost_ || next == 'Q' || next == 'E';
                ++at_;
            }
            ++at_;
        }
        if (!more())
            lost_ = true;
        ++at_;
    }

    repeat quantifier() {
        auto out = repeat::once;
        for (bool seen = true; seen && more();) {
            seen = peek() == '*' || peek() == '?' || peek() == '+';
            if (seen) {
                // After another quantifier "?" and "+" say how, not how often; to count them as often is safe.
                if (peek() != '+')
                    out = repeat::optional;
                else if (out == repeat::once)
                    out = repeat::at_least_once;
                ++at_;
            } else if (peek() == '{' && (!pcre_ || (peek(1) >= '0' && peek(1) <= '9'))) {
                const auto end = text_.find('}', at_);
                const auto bound = text_.substr(at_ + 1, end - at_ - 1);
                if (end == std::string_view::npos || bound.find_first_not_of("0123456789,") != bound.npos) {
                    lost_ = true;
                    break;
                }
                const bool none = bound.find_first_not_of('0') == bound.npos || bound[bound.find_first_not_of('0')] == ',';
                out = none || out == repeat::optional ? repeat::optional : repeat::at_least_once;
                at_ = end + 1;
                seen = true;
            }
        }
        return out;
    }

    bool pcre_;
    std::string_view text_;
    std::size_t at_ = 0;
    bool lost_ = false; // met something unknown: answer nothing
};

} // namespace

std::vector<literal_factor> required_literals(pattern_dialect dialect, const pattern& from) {
    // In both dialects "x" changes the syntax: basic expressions there, free blanks and comments here.
    const auto extended = std::ranges::count(from.flags, 'x') % 2 != 0;
    if (extended || from.text.find('\0') != std::string::npos)
        return {};
    return literal_finder(dialect, from.text).run();
}

} // namespace mta::table
