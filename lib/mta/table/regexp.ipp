#include <regex.h>
#include <sys/stat.h>

#include <vector>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/text_source.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct compiled {
    regex_t expression{};
    bool valid = false;
    compiled() = default;
    compiled(const compiled&) = delete;
    compiled& operator=(const compiled&) = delete;
    ~compiled() {
        if (valid)
            ::regfree(&expression);
    }
};

struct rule {
    enum class kind { match, begin_if, end_if } what = kind::match;
    bool negated = false;
    std::unique_ptr<compiled> pattern;
    std::string value;
    int line = 0;
};

constexpr std::size_t most_groups = 100;

class regexp_table final : public lookup_table {
public:
    regexp_table(const std::string& name, std::vector<rule> rules, const struct stat& opened)
        : lookup_table("regexp:" + name, {.patterns = true, .may_block = false}), path_(name),
          rules_(std::move(rules)), opened_(opened) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const std::string text(key);
        int skipping = 0; // depth of an if that did not match
        std::vector<regmatch_t> groups(most_groups);
        for (const auto& r : rules_) {
            if (r.what == rule::kind::end_if) {
                skipping -= skipping > 0 ? 1 : 0;
                continue;
            }
            if (skipping > 0) {
                skipping += r.what == rule::kind::begin_if ? 1 : 0;
                continue;
            }
            const int code = ::regexec(&r.pattern->expression, text.c_str(), groups.size(), groups.data(), 0);
            if (code != 0 && code != REG_NOMATCH)
                return fail(errc::temporary, "regexp map " + path_ + ", line " + std::to_string(r.line) +
                                                 ": out of memory or time");
            const bool holds = (code == 0) != r.negated;
            if (r.what == rule::kind::begin_if)
                skipping = holds ? 0 : 1;
            else if (holds)
                return substitute(r, text, groups);
        }
        return std::nullopt;
    }
    bool changed() const override {
        struct stat now {};
        return ::stat(path_.c_str(), &now) != 0 || now.st_ino != opened_.st_ino ||
               now.st_mtim.tv_sec != opened_.st_mtim.tv_sec || now.st_mtim.tv_nsec != opened_.st_mtim.tv_nsec;
    }

private:
    // $1, ${1} and $(1) become what the group matched; $$ is a dollar.
    static std::string substitute(const rule& r, const std::string& text, const std::vector<regmatch_t>& groups) {
        std::string out;
        const std::string& value = r.value;
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (value[i] != '$' || i + 1 >= value.size()) {
                out += value[i];
                continue;
            }
            if (value[i + 1] == '$') {
                out += '$';
                ++i;
                continue;
            }
            const bool bracketed = value[i + 1] == '{' || value[i + 1] == '(';
            std::size_t at = i + (bracketed ? 2 : 1);
            std::size_t number = 0;
            while (at < value.size() && value[at] >= '0' && value[at] <= '9' && number < most_groups)
                number = number * 10 + static_cast<std::size_t>(value[at++] - '0');
            if (number >= 1 && number < groups.size() && groups[number].rm_so >= 0 && !r.negated)
                out.append(text, static_cast<std::size_t>(groups[number].rm_so),
                           static_cast<std::size_t>(groups[number].rm_eo - groups[number].rm_so));
            i = bracketed ? at : at - 1;
        }
        return out;
    }

    std::string path_;
    std::vector<rule> rules_;
    struct stat opened_;
};

failure bad(const std::string& path, int line, const std::string& what) {
    return fail(errc::malformed, "regexp map " + path + ", line " + std::to_string(line) + ": " + what);
}

// "!/pattern/flags" at the start of text; what follows it is left in text.
result<rule> parse_pattern(const std::string& path, int line, std::string_view& text) {
    rule out;
    out.line = line;
    while (!text.empty() && text.front() == '!') {
        out.negated = !out.negated;
        text = trim(text.substr(1));
    }
    if (text.empty())
        return bad(path, line, "no regular expression");
    const char delimiter = text.front();
    std::string expression;
    std::size_t at = 1;
    for (; at < text.size() && text[at] != delimiter; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) {
            if (text[at + 1] != delimiter)
                expression += '\\';
            ++at;
        }
        expression += text[at];
    }
    if (at >= text.size())
        return bad(path, line, "no closing regexp delimiter \"" + std::string(1, delimiter) + "\"");
    int flags = REG_ICASE | REG_EXTENDED;
    for (++at; at < text.size() && white_space.find(text[at]) == std::string_view::npos; ++at) {
        if (text[at] == 'i')
            flags ^= REG_ICASE;
        else if (text[at] == 'm')
            flags ^= REG_NEWLINE;
        else if (text[at] == 'x')
            flags ^= REG_EXTENDED;
        else
            return bad(path, line, "unknown regexp option \"" + std::string(1, text[at]) + "\"");
    }
    text = trim(text.substr(std::min(at, text.size())));
    out.pattern = std::make_unique<compiled>();
    if (const int code = ::regcomp(&out.pattern->expression, expression.c_str(), flags); code != 0) {
        char reason[256] = {};
        ::regerror(code, &out.pattern->expression, reason, sizeof reason);
        return bad(path, line, std::string("bad regular expression: ") + reason);
    }
    out.pattern->valid = true;
    return out;
}

} // namespace

result<table_ptr> open_regexp(const std::string& name, const open_options&) {
    auto text = read_file(name);
    struct stat opened {};
    if (!text || ::stat(name.c_str(), &opened) != 0)
        return fail(text ? std::error_code(errno, std::generic_category()) : text.error().code, "open " + name);
    std::vector<rule> rules;
    int depth = 0;
    line_reader lines(*text);
    while (auto line = lines.next()) {
        std::string_view rest = trim(line->text);
        const auto word = lower(rest.substr(0, 5));
        if (word == "endif") {
            if (--depth < 0)
                return bad(name, line->line, "ignoring ENDIF without matching IF");
            rules.emplace_back().what = rule::kind::end_if;
            continue;
        }
        const bool conditional = word.size() > 2 && word.starts_with("if") &&
                                 white_space.find(word[2]) != std::string_view::npos;
        if (conditional)
            rest = trim(rest.substr(2));
        auto parsed = parse_pattern(name, line->line, rest);
        if (!parsed)
            return tl::make_unexpected(parsed.error());
        if (conditional) {
            parsed->what = rule::kind::begin_if;
            ++depth;
        }
        parsed->value = rest;
        rules.push_back(std::move(*parsed));
    }
    if (depth > 0)
        return bad(name, 0, "IF has no matching ENDIF");
    return std::make_unique<regexp_table>(name, std::move(rules), opened);
}

} // namespace mta::table
