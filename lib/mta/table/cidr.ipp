#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <mta/core/text.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/network_tree.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/rule_check.hpp>
#include <mta/table/rule_source.hpp>
#include <mta/table/text_source.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct network_rule {
    network where;
    bool negated = false;
    bool condition = false;
    std::uint32_t inside = no_rule;
    int line = 0;
    std::string value;
};

std::optional<network> read_address(std::string_view text) {
    network out;
    if (text.find('\0') != std::string_view::npos)
        return std::nullopt;
    const std::string word(text);
    out.family = text.find(':') == std::string_view::npos ? AF_INET : AF_INET6;
    out.bits = out.family == AF_INET ? 32 : 128;
    // inet_pton refuses octal, short and scoped forms.
    if (::inet_pton(out.family, word.c_str(), out.bytes.data()) != 1)
        return std::nullopt;
    return out;
}

std::string show(const network& from) {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(from.family, from.bytes.data(), text, sizeof text);
    return text;
}

// "192.0.2.0/24", "2001:db8::1"; the error is a warning's text.
result<network> parse_network(std::string_view text) {
    const std::string quoted = "\"" + std::string(text) + "\"";
    const auto slash = text.find('/');
    auto out = read_address(text.substr(0, slash));
    if (slash == std::string_view::npos) {
        if (!out)
            return fail(errc::malformed, "bad address pattern: " + quoted + ": skipping this rule");
        return *out;
    }
    const auto mask = text.substr(slash + 1);
    if (mask.empty() || mask.find_first_not_of("0123456789") != std::string_view::npos)
        return fail(errc::malformed, "bad mask value in " + quoted + ": skipping this rule");
    if (!out)
        return fail(errc::malformed, "bad network value in " + quoted + ": skipping this rule");
    const auto bits = parse_integer(mask);
    if (!bits || *bits > out->bits)
        return fail(errc::malformed, "bad mask length in " + quoted + ": skipping this rule");
    const auto given = out->bytes;
    out->bits = static_cast<int>(*bits);
    out->clear_host_bits();
    if (out->bytes != given)
        return fail(errc::malformed, "non-null host address bits in " + quoted + ", perhaps you should use \"" +
                                         show(*out) + "/" + std::to_string(out->bits) + "\" instead: skipping this rule");
    return *out;
}

class cidr_parser {
public:
    cidr_parser(const std::string& name, bool say_warnings, bool file_values = false)
        : name_(name), say_warnings_(say_warnings), file_values_(file_values) {}

    void line(const logical_line& line) {
        const auto text = trim(line.text);
        if (const auto outcome = rule(text, line.line); !outcome && say_warnings_)
            warning(rule_place("cidr", name_, line.line) + outcome.error().text());
    }
    std::vector<network_rule> finish() {
        for (; !open_.empty(); open_.pop_back())
            if (say_warnings_)
                warning(rule_place("cidr", name_, rules_[open_.back()].line) + "IF has no matching ENDIF");
        return std::move(rules_);
    }

private:
    static bool is_word(std::string_view text, std::string_view word) {
        return iequals(text.substr(0, word.size()), word) &&
               (text.size() == word.size() || !std::isalnum(static_cast<unsigned char>(text[word.size()])));
    }
    result<void> rule(std::string_view text, int number) {
        network_rule out;
        out.line = number;
        out.condition = is_word(text, "if");
        if (is_word(text, "endif"))
            return end_condition(text.substr(5));
        if (out.condition)
            text.remove_prefix(2);
        for (; !text.empty() && (text.front() == '!' || white_space.find(text.front()) != std::string_view::npos);
             text.remove_prefix(1))
            out.negated = out.negated != (text.front() == '!');
        if (text.empty())
            return fail(errc::malformed, "no address pattern: skipping this rule");
        // A condition is all of its line; a rule has its result behind it.
        const auto end = out.condition ? text.size() : std::min(text.find_first_of(white_space), text.size());
        auto where = bracketed(text.substr(0, end));
        if (!where)
            return tl::make_unexpected(where.error());
        out.where = *where;
        out.value = trim(text.substr(end));
        if (!out.condition && out.value.empty())
            return fail(errc::malformed, "no lookup result: skipping this rule");
        if (file_values_ && !out.condition) {
            auto content = encoded_files(out.value);
            if (!content)
                return fail(errc::malformed, content.error().text() + ": skipping this rule");
            out.value = std::move(*content);
        }
        out.inside = open_.empty() ? no_rule : open_.back();
        rules_.push_back(std::move(out));
        if (rules_.back().condition)
            open_.push_back(static_cast<std::uint32_t>(rules_.size() - 1));
        return {};
    }
    result<void> end_condition(std::string_view rest) {
        if (!rest.empty())
            return fail(errc::malformed, "garbage after ENDIF: skipping this rule");
        if (open_.empty())
            return fail(errc::malformed, "ENDIF without IF: skipping this rule");
        open_.pop_back();
        return {};
    }
    // "[address]/bits", "[address/bits]" or either without brackets.
    static result<network> bracketed(std::string_view text) {
        if (!text.starts_with('['))
            return parse_network(text);
        const auto close = text.find(']');
        if (close == std::string_view::npos)
            return fail(errc::malformed, "missing ']' character after \"" + std::string(text) + "\": skipping this rule");
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != '/')
            return fail(errc::malformed, "garbage after \"" + std::string(text.substr(0, close + 1)) +
                                             "\": skipping this rule");
        return parse_network(std::string(text.substr(1, close - 1)) + std::string(rest));
    }

    const std::string& name_;
    bool say_warnings_;
    bool file_values_;
    std::vector<network_rule> rules_;
    std::vector<std::uint32_t> open_;
};

class cidr_table final : public lookup_table {
public:
    cidr_table(const std::string& name, std::vector<network_rule> rules, file_mark mark)
        : lookup_table("cidr:" + name, {.patterns = true, .may_block = false}), file_(name),
          rules_(std::move(rules)), mark_(std::move(mark)) {
        for (std::uint32_t i = 0; i < rules_.size(); ++i) {
            if (rules_[i].condition)
                continue;
            if (rules_[i].negated)
                negated_.push_back(i);
            else
                tree(rules_[i].where.family).add(rules_[i].where, i);
        }
    }

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto address = read_address(key);
        if (!address)
            return std::nullopt; // a name, or nothing that a network could hold
        candidates_.clear();
        tree(address->family).find(*address, candidates_);
        candidates_.insert(candidates_.end(), negated_.begin(), negated_.end());
        std::ranges::sort(candidates_);
        for (const auto index : candidates_) {
            const auto& rule = rules_[index];
            if (!holds(rule, *address) || !all_hold(rule.inside, *address))
                continue;
            last_line_ = rule.line;
            return rule.value;
        }
        return std::nullopt;
    }
    bool changed() const override { return mark_.changed(); }
    std::string last_place() const override { return file_ + ":" + std::to_string(last_line_); }

private:
    network_tree& tree(int family) { return family == AF_INET ? v4_ : v6_; }
    // A rule of one family says nothing about addresses of the other, negated or not.
    static bool holds(const network_rule& rule, const network& address) {
        return rule.where.family == address.family && rule.where.contains(address) != rule.negated;
    }
    bool all_hold(std::uint32_t condition, const network& address) const {
        for (; condition != no_rule; condition = rules_[condition].inside)
            if (!holds(rules_[condition], address))
                return false;
        return true;
    }

    std::string file_;
    std::vector<network_rule> rules_;
    file_mark mark_;
    network_tree v4_;
    network_tree v6_;
    std::vector<std::uint32_t> negated_;
    std::vector<std::uint32_t> candidates_;
    int last_line_ = 0;
};

} // namespace

result<std::vector<shadowed_rule>> find_shadowed_networks(const std::string& name) {
    auto source = read_rules("cidr", name);
    if (!source)
        return tl::make_unexpected(source.error());
    cidr_parser parser(name, false);
    line_reader lines(source->text, name);
    while (const auto line = lines.next())
        parser.line(*line);
    const auto rules = parser.finish();
    std::vector<shadowed_rule> out;
    for (std::size_t late = 0; late < rules.size(); ++late)
        for (std::size_t early = 0; early < late && !rules[late].condition && !rules[late].negated; ++early) {
            const auto& by = rules[early];
            const bool everywhere = by.inside == no_rule || by.inside == rules[late].inside;
            if (by.condition || by.negated || !everywhere || by.where.bits > rules[late].where.bits ||
                !by.where.contains(rules[late].where))
                continue;
            out.push_back({rules[late].line, by.line, show(rules[late].where) + "/" + std::to_string(rules[late].where.bits)});
            break;
        }
    return out;
}

result<table_ptr> open_cidr(const std::string& name, const open_options& options) {
    auto source = read_rules("cidr", name);
    if (!source)
        return tl::make_unexpected(source.error());
    cidr_parser parser(name, true, options.file_values);
    line_reader lines(source->text, name);
    while (const auto line = lines.next())
        parser.line(*line);
    return std::make_unique<cidr_table>(name, parser.finish(), std::move(source->mark));
}

} // namespace mta::table
