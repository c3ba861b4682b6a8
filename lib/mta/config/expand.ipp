// Bodies of expand.hpp: a recursive descent over the text; a name's value is a text of its own.
#include <mta/config/expand.hpp>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

constexpr int nesting_limit = 100; // as the reference
// a = $b$b, b = $c$c and so on is twice as much with every name: no nesting limit ends that in time.
constexpr int reference_limit = 100000;

inline bool name_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

inline std::size_t name_length(std::string_view text) noexcept {
    std::size_t n = 0;
    while (n < text.size() && name_character(text[n]))
        ++n;
    return n;
}

// The position of the bracket that closes the one before text; npos when it is missing.
inline std::size_t closing(std::string_view text, char open, char close) noexcept {
    int depth = 1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == open)
            ++depth;
        else if (text[i] == close && --depth == 0)
            return i;
    }
    return std::string_view::npos;
}

inline std::string_view skip_blanks(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(white_space);
    return first == std::string_view::npos ? text.substr(text.size()) : text.substr(first);
}

// Every level is a text inside another: a value, what stands behind ? or :, a side of a comparison.
class expander {
public:
    expander(macro_source& source, values_are how, std::vector<std::string>* names = nullptr)
        : source_(source), how_(how), names_(names) {}

    result<void> text(std::string_view whole, std::string& out, int level) {
        for (auto rest = whole; !rest.empty();) {
            const auto dollar = std::min(rest.find('$'), rest.size());
            if (dollar > 0) {
                if (level > nesting_limit)
                    return too_deep(rest.substr(0, dollar));
                out += rest.substr(0, dollar);
                rest.remove_prefix(dollar);
                continue;
            }
            rest.remove_prefix(1);
            if (++references_ > reference_limit)
                return fail(errc::too_large, "too many macro references: \"" + std::string(whole) + '"');
            if (!rest.empty() && rest.front() == '$') {
                if (level > nesting_limit)
                    return too_deep("$");
                out += '$';
                rest.remove_prefix(1);
                continue;
            }
            const auto body = reference_body(whole, rest);
            if (!body)
                return tl::make_unexpected(body.error());
            if (level > nesting_limit)
                return too_deep(*body);
            if (auto done = reference(*body, out, level); !done)
                return done;
        }
        return {};
    }

private:
    static failure bad(std::string what) { return fail(errc::malformed, std::move(what)); }

    static failure too_deep(std::string_view token) {
        return fail(errc::too_large, "unreasonable macro call nesting: \"" + std::string(token) + '"');
    }

    // Where reading stopped: …"what was understood" >>> "the beginning of what was not".
    static failure bad_at(std::string_view what, std::string_view understood, std::string_view rest) {
        return bad(std::string(what) + " at: \"..." + std::string(understood) + ">>>" +
                   std::string(rest.substr(0, 20)) + '"');
    }

    // NAME, or the inside of {…} or (…), behind a $. rest is moved behind it.
    static result<std::string_view> reference_body(std::string_view whole, std::string_view& rest) {
        std::string_view body;
        if (!rest.empty() && (rest.front() == '{' || rest.front() == '(')) {
            const bool curly = rest.front() == '{';
            const auto end = closing(rest.substr(1), curly ? '{' : '(', curly ? '}' : ')');
            if (end == std::string_view::npos)
                return bad("truncated macro reference: \"" + std::string(whole) + '"');
            body = rest.substr(1, end);
            rest.remove_prefix(end + 2);
        } else {
            body = rest.substr(0, name_length(rest));
            rest.remove_prefix(body.size());
        }
        if (body.empty())
            return bad("empty macro name: \"" + std::string(whole) + '"');
        return body;
    }

    result<void> value(std::string_view name, std::string& out, int level) {
        if (names_ != nullptr) {
            names_->emplace_back(name);
            return {};
        }
        const auto found = source_.find(name);
        if (!found)
            return {};
        if (how_ == values_are::taken_as_is) {
            out += *found;
            return {};
        }
        const std::string copy(*found); // the source may reuse its storage
        return text(copy, out, level + 1);
    }

    // {text} at the start of rest, which is moved behind it and the blanks that follow.
    static result<std::string_view> braced(std::string_view& rest) {
        const auto end = closing(rest.substr(1), '{', '}');
        if (end == std::string_view::npos)
            return bad("unbalanced {} in attribute expression: \"" + std::string(rest) + '"');
        const auto inner = rest.substr(1, end);
        rest = skip_blanks(rest.substr(end + 2));
        return inner;
    }

    result<void> reference(std::string_view body, std::string& out, int level) {
        auto rest = skip_blanks(body);
        const bool relation = !rest.empty() && rest.front() == '{';
        bool holds = false;
        std::string_view name;
        if (relation) {
            const auto answer = compare(rest, level);
            if (!answer)
                return tl::make_unexpected(answer.error());
            holds = *answer;
        } else {
            name = rest.substr(0, name_length(rest));
            const auto behind = rest.substr(name.size());
            rest = skip_blanks(behind);
            if (!rest.empty() && rest.front() != '?' && rest.front() != ':')
                return bad_at("attribute name syntax error", body.substr(0, body.size() - behind.size()), behind);
        }
        if (rest.empty()) {
            if (!relation)
                return value(name, out, level);
            if (holds)
                out += "true";
            return {};
        }
        const char mark = rest.front();
        if (mark != '?' && mark != ':')
            return bad_at("\"?\" or \":\" expected", "}", rest);
        if (!relation && names_ != nullptr) {
            names_->emplace_back(name);
        } else if (!relation) {
            const auto found = source_.find(name);
            holds = found && !found->empty();
        }
        return choose(rest.substr(1), mark == '?' ? holds : !holds, mark == '?', out, level);
    }

    // What stands behind ? or :. first says whether its text is wanted; may_else whether :{…} may follow.
    // Text without braces runs to the end and keeps its blanks.
    result<void> choose(std::string_view rest, bool first, bool may_else, std::string& out, int level) {
        std::string_view yes = rest;
        std::string_view no;
        rest = skip_blanks(rest);
        if (!rest.empty() && rest.front() == '{') {
            auto inner = braced(rest);
            if (!inner)
                return tl::make_unexpected(inner.error());
            yes = *inner;
            std::string understood = std::string(yes) + '}';
            if (!rest.empty() && may_else) {
                if (rest.front() != ':')
                    return bad_at("\":\" expected", understood, rest);
                no = rest.substr(1);
                rest = skip_blanks(no);
                if (!rest.empty() && rest.front() == '{') {
                    inner = braced(rest);
                    if (!inner)
                        return tl::make_unexpected(inner.error());
                    no = *inner;
                    understood = std::string(no) + '}';
                } else {
                    rest = {};
                }
            }
            if (!rest.empty())
                return bad_at("unexpected input", understood, rest);
        }
        if (names_ != nullptr) {
            if (auto done = text(yes, out, level + 1); !done)
                return done;
            return text(no, out, level + 1);
        }
        return text(first ? yes : no, out, level + 1);
    }

    static int order(long long a, long long b) noexcept { return a < b ? -1 : a > b ? 1 : 0; }

    static result<int> weigh(std::string_view left, std::string_view right, bool levels) {
        const auto parse = [&](std::string_view side) -> result<long long> {
            if (levels)
                return parse_level(side);
            if (const auto number = parse_integer(side))
                return *number;
            return bad("number too large in a comparison: " + std::string(side));
        };
        const auto digits = [](std::string_view word) {
            return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
        };
        if (!levels && !(digits(left) && digits(right)))
            return order(left.compare(right), 0);
        const auto a = parse(left);
        if (!a)
            return tl::make_unexpected(a.error());
        const auto b = parse(right);
        if (!b)
            return tl::make_unexpected(b.error());
        return order(*a, *b);
    }

    // {left} operator {right} at the start of rest, which is moved behind it.
    result<bool> compare(std::string_view& rest, int level) {
        const auto left_text = braced(rest);
        if (!left_text)
            return tl::make_unexpected(left_text.error());
        const auto sign = rest.substr(0, std::min(rest.find_first_not_of("=!<>"), rest.size()));
        const bool known = sign == "==" || sign == "!=" || sign == "<" || sign == "<=" || sign == ">=" || sign == ">";
        if (!known) // the quotes are the reference's
            return bad_at("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected",
                          std::string(*left_text) + '}', rest);
        const auto behind = rest.substr(sign.size());
        const auto suffix = behind.substr(0, name_length(behind));
        if (!suffix.empty() && suffix != "level")
            return bad_at("bad operator suffix", sign, suffix);
        const auto after = behind.substr(suffix.size());
        auto operand = skip_blanks(after);
        if (operand.empty() || operand.front() != '{')
            return bad_at("\"{expression}\" expected", "{" + std::string(*left_text) + "} " + std::string(sign), after);
        const auto right_text = braced(operand);
        if (!right_text)
            return tl::make_unexpected(right_text.error());
        rest = operand;
        std::string left;
        std::string right;
        if (auto done = text(*left_text, left, level + 1); !done)
            return tl::make_unexpected(done.error());
        if (auto done = text(*right_text, right, level + 1); !done)
            return tl::make_unexpected(done.error());
        if (names_ != nullptr)
            return false; // only the names count, and they are seen in both branches
        const auto weight = weigh(left, right, !suffix.empty());
        if (!weight)
            return tl::make_unexpected(weight.error());
        return (sign == "==" && *weight == 0) || (sign == "!=" && *weight != 0) || (sign == "<" && *weight < 0) ||
               (sign == "<=" && *weight <= 0) || (sign == ">=" && *weight >= 0) || (sign == ">" && *weight > 0);
    }

    macro_source& source_;
    values_are how_;
    int references_ = 0;
    std::vector<std::string>* names_; // when set, names are collected and nothing is looked up
};

class no_source final : public macro_source {
public:
    std::optional<std::string_view> find(std::string_view) override { return std::nullopt; }
};

} // namespace detail

result<std::string> expand_macros(std::string_view text, macro_source& source, values_are how) {
    std::string out;
    detail::expander engine(source, how);
    if (auto done = engine.text(text, out, 0); !done)
        return tl::make_unexpected(done.error());
    return out;
}

references referenced_names(std::string_view text) {
    references out;
    if (text.find('$') == std::string_view::npos)
        return out;
    detail::no_source nothing;
    std::string ignored;
    detail::expander engine(nothing, values_are::taken_as_is, &out.names);
    if (const auto done = engine.text(text, ignored, 0); !done)
        out.trouble = done.error().detail;
    return out;
}

} // namespace mta::config
