#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/rule_source.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {

result<rule_source> read_rules(std::string_view type, const std::string& name) {
    rule_source out;
    if (!name.starts_with('{')) {
        auto fd = open_file(name, O_RDONLY);
        struct stat status {};
        if (!fd || ::fstat(fd->get(), &status) != 0)
            return fail(fd ? std::error_code(errno, std::generic_category()) : fd.error().code, "open " + name);
        auto text = read_file(name, std::size_t{1} << 30U);
        if (!text)
            return tl::make_unexpected(text.error());
        out.text = std::move(*text);
        out.mark = file_mark(name, status);
        return out;
    }
    const std::string title = std::string(type) + " map: ";
    auto inside = inside_braces(name);
    if (!inside)
        return fail(errc::malformed, title + inside.error().text());
    auto rest = *inside;
    while (const auto word = next_word(rest)) {
        const auto rule = inside_braces(*word);
        if (!rule)
            return fail(errc::malformed, title + rule.error().text());
        out.text += *rule;
        out.text += '\n';
    }
    return out;
}

std::string rule_place(std::string_view type, const std::string& name, int line) {
    return std::string(type) + " map " + name + ", line " + std::to_string(line) + ": ";
}

namespace {

bool is_alnum(char c) noexcept { return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z'); }

// The word in any case, and no letter or digit behind it.
bool begins_with_word(std::string_view text, std::string_view word) noexcept {
    return iequals(text.substr(0, word.size()), word) && (text.size() == word.size() || !is_alnum(text[word.size()]));
}

class rule_parser {
public:
    rule_parser(pattern_dialect dialect, const std::string& name,
                const std::function<bool(const pattern_rule&)>& accept, bool say_warnings)
        : dialect_(dialect), name_(name), accept_(accept), say_warnings_(say_warnings) {}

    void line(const logical_line& line) {
        line_ = line.line;
        const auto text = trim(line.text);
        if (text.empty()) // a NUL begins it
            return;
        if (!is_alnum(text.front()))
            rule(text);
        else if (begins_with_word(text, "if"))
            condition(text.substr(2));
        else if (begins_with_word(text, "endif"))
            end_condition(text.substr(5));
        else
            complain("ignoring unrecognized request");
    }

    std::vector<pattern_rule> finish() {
        for (; !open_.empty(); open_.pop_back()) {
            line_ = rules_[open_.back()].line;
            complain("IF has no matching ENDIF");
        }
        return std::move(rules_);
    }

private:
    void complain(const std::string& what) const { say(rule_place(type(), name_, line_) + what); }
    void say(const std::string& text) const {
        if (say_warnings_)
            warning(text);
    }
    [[nodiscard]] std::string_view type() const noexcept {
        return dialect_ == pattern_dialect::pcre ? "pcre" : "regexp";
    }

    void rule(std::string_view text) {
        pattern_rule out;
        if (!cut_pattern(text, out.what) || (unless_follows(text) && !cut_unless(text, out)))
            return;
        text = trim(text);
        if (text.empty())
            complain("no replacement text: using empty string");
        if (!cut_value(text, out)) {
            complain("bad replacement syntax: skipping this rule");
            return;
        }
        if (out.what.negated && out.highest_group > 0) {
            complain("$number found in negative match replacement text: skipping this rule");
            return;
        }
        add(std::move(out));
    }
    void condition(std::string_view text) {
        pattern_rule out;
        out.condition = true;
        if (!cut_pattern(text, out.what))
            return;
        text = trim(text);
        if (!text.empty()) {
            complain("ignoring extra text after IF statement: \"" + std::string(text) + "\"");
            complain("do not prepend whitespace to statements between IF and ENDIF");
        }
        if (add(std::move(out)))
            open_.push_back(static_cast<std::uint32_t>(rules_.size() - 1));
    }
    void end_condition(std::string_view rest) {
        if (open_.empty()) {
            complain("ignoring ENDIF without matching IF");
            return;
        }
        if (!trim(rest).empty())
            complain("ignoring extra text after ENDIF");
        open_.pop_back();
    }
    bool add(pattern_rule rule) {
        rule.line = line_;
        rule.inside = open_.empty() ? no_rule : open_.back();
        if (!accept_(rule))
            return false;
        rules_.push_back(std::move(rule));
        return true;
    }

    [[nodiscard]] bool unless_follows(std::string_view text) const noexcept {
        return dialect_ == pattern_dialect::regexp && text.starts_with('!');
    }
    bool cut_unless(std::string_view& text, pattern_rule& to) {
        to.has_unless = true;
        text.remove_prefix(1);
        return cut_pattern(text, to.unless);
    }
    // "!/pattern/flags" at the start of text; what follows stays in text.
    bool cut_pattern(std::string_view& text, pattern& out) {
        for (; !text.empty() && (text.front() == '!' || white_space.find(text.front()) != std::string_view::npos);
             text.remove_prefix(1))
            out.negated = out.negated != (text.front() == '!');
        if (text.empty()) {
            complain("no regexp: skipping this rule");
            return false;
        }
        const char delimiter = text.front();
        std::size_t end = 1;
        while (end < text.size() && text[end] != delimiter)
            end += text[end] == '\\' ? 2 : 1;
        if (end >= text.size()) {
            complain(std::string("no closing regexp delimiter \"") + delimiter + "\": " +
                     (dialect_ == pattern_dialect::pcre ? "ignoring" : "skipping") + " this rule");
            return false;
        }
        out.text = text.substr(1, end - 1);
        text.remove_prefix(end + 1);
        return cut_flags(text, out);
    }
    bool cut_flags(std::string_view& text, pattern& out) {
        const std::string_view known = dialect_ == pattern_dialect::pcre ? "imsxAEUX" : "imx";
        for (; !text.empty() && white_space.find(text.front()) == std::string_view::npos; text.remove_prefix(1)) {
            const char flag = text.front();
            if (unless_follows(text))
                break;
            if (known.find(flag) == std::string_view::npos) {
                complain(std::string("unknown regexp option \"") + flag + "\": skipping this rule");
                return false;
            }
            if (flag == 'X')
                complain("ignoring obsolete regexp option \"X\"");
            else
                out.flags += flag;
        }
        return true;
    }

    // $1, ${1} and $(1) become groups, $$ a dollar.
    bool cut_value(std::string_view text, pattern_rule& to) {
        std::string literal;
        for (std::size_t at = 0; at < text.size(); ++at) {
            if (text[at] != '$') {
                literal += text[at];
                continue;
            }
            const char next = at + 1 < text.size() ? text[at + 1] : '\0';
            if (next == '$') {
                literal += '$';
                ++at;
                continue;
            }
            std::size_t from = at + 1;
            std::size_t end = from;
            if (next == '{' || next == '(') {
                end = closing(text, from, next, next == '{' ? '}' : ')');
                if (end == std::string_view::npos) {
                    say("truncated macro reference: \"" + std::string(text) + "\"");
                    return false;
                }
                ++from;
            } else {
                while (end < text.size() && (is_alnum(text[end]) || text[end] == '_'))
                    ++end;
            }
            if (!add_group(text, text.substr(from, end - from), to, literal))
                return false;
            at = from == static_cast<std::size_t>(at + 1) ? end - 1 : end;
        }
        if (!literal.empty())
            to.value.push_back({std::move(literal), 0});
        return true;
    }
    static std::size_t closing(std::string_view text, std::size_t at, char open, char close) noexcept {
        for (int depth = 0; at < text.size(); ++at) {
            depth += text[at] == open ? 1 : text[at] == close ? -1 : 0;
            if (depth == 0)
                return at;
        }
        return std::string_view::npos;
    }
    bool add_group(std::string_view text, std::string_view name, pattern_rule& to, std::string& literal) {
        if (name.empty()) {
            say("empty macro name: \"" + std::string(text) + "\"");
            return false;
        }
        const auto number = parse_integer(name);
        if (!number || !is_alnum(name.front())) {
            complain("non-numeric replacement index \"" + std::string(name) + "\"");
            return false;
        }
        if (*number < 1 || *number > 0xFFFF) {
            complain((dialect_ == pattern_dialect::pcre ? "out of range" : "out-of-range") +
                     std::string(" replacement index \"") + std::string(name) + "\"");
            return false;
        }
        if (!literal.empty())
            to.value.push_back({std::exchange(literal, {}), 0});
        to.value.push_back({{}, static_cast<unsigned>(*number)});
        to.highest_group = std::max(to.highest_group, to.value.back().group);
        return true;
    }

    pattern_dialect dialect_;
    const std::string& name_;
    const std::function<bool(const pattern_rule&)>& accept_;
    bool say_warnings_;
    std::vector<pattern_rule> rules_;
    std::vector<std::uint32_t> open_; // "if" rules without their endif yet
    int line_ = 0;
};

} // namespace

void take_files(std::string_view type, const std::string& name, std::vector<pattern_rule>& rules) {
    for (auto& one : rules) {
        if (one.condition || one.value.empty())
            continue;
        auto content = encoded_files(one.value.front().text);
        if (!content)
            warning(rule_place(type, name, one.line) + content.error().text());
        one.value.assign(1, {content.value_or(std::string()), 0});
    }
}

std::vector<pattern_rule> parse_rules(pattern_dialect dialect, const std::string& name, std::string_view text,
                                      const std::function<bool(const pattern_rule&)>& accept, bool say_warnings) {
    rule_parser parser(dialect, name, accept, say_warnings);
    line_reader lines(text, name);
    while (const auto line = lines.next())
        parser.line(*line);
    return parser.finish();
}

} // namespace mta::table
