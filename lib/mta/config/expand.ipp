// Bodies of expand.hpp: a recursive descent over the text; a name's value is a text of its own.
#include <mta/config/expand.hpp>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

constexpr int nesting_limit = 100; // values within values, as the reference
constexpr int brace_limit = 300;   // and braces within braces

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

class expander {
public:
    expander(macro_source& source, values_are how) : source_(source), how_(how) {}

    result<void> text(std::string_view whole, std::string& out, int depth) {
        const nested guard(braces_);
        if (braces_ > brace_limit)
            return fail(errc::too_large,
                        "unreasonable macro call nesting: \"" + std::string(whole.substr(0, 100)) + '"');
        for (auto rest = whole; !rest.empty();) {
            const auto dollar = std::min(rest.find('$'), rest.size());
            out += rest.substr(0, dollar);
            rest.remove_prefix(dollar);
            if (rest.empty())
                break;
            rest.remove_prefix(1);
            if (!rest.empty() && rest.front() == '$') {
                out += '$';
                rest.remove_prefix(1);
                continue;
            }
            if (!rest.empty() && (rest.front() == '{' || rest.front() == '(')) {
                const bool curly = rest.front() == '{';
                rest.remove_prefix(1);
                const auto end = closing(rest, curly ? '{' : '(', curly ? '}' : ')');
                if (end == std::string_view::npos)
                    return bad("truncated macro reference: \"" + std::string(whole) + '"');
                const auto body = skip_blanks(rest.substr(0, end));
                if (body.empty())
                    return bad("empty macro name: \"" + std::string(whole) + '"');
                if (auto done = reference(body, out, depth); !done)
                    return done;
                rest.remove_prefix(end + 1);
                continue;
            }
            const auto length = name_length(rest);
            if (length == 0)
                return bad("empty macro name: \"" + std::string(whole) + '"');
            if (auto done = value(rest.substr(0, length), out, depth); !done)
                return done;
            rest.remove_prefix(length);
        }
        return {};
    }

private:
    static failure bad(std::string what) { return fail(errc::malformed, std::move(what)); }

    // What the reader sees: ..."the last thing understood" >>> "the rest".
    static failure bad_at(std::string_view what, std::string_view before, std::string_view after) {
        return bad(std::string(what) + " at: \"..." + std::string(before) + ">>>" + std::string(after) + '"');
    }

    result<void> value(std::string_view name, std::string& out, int depth) {
        const auto found = source_.find(name);
        if (!found)
            return {};
        if (how_ == values_are::taken_as_is) {
            out += *found;
            return {};
        }
        if (found->find('$') == std::string_view::npos) {
            out += *found;
            return {};
        }
        if (depth >= nesting_limit)
            return fail(errc::too_large, "unreasonable macro call nesting: \"" + std::string(name) + '"');
        const std::string copy(*found); // the source may reuse its storage
        return text(copy, out, depth + 1);
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

    result<void> reference(std::string_view body, std::string& out, int depth) {
        std::string_view rest = body;
        std::string_view understood;
        bool holds = false;
        std::string_view name;
        const bool relation = body.front() == '{';
        if (relation) {
            const auto answer = compare(rest, understood, depth);
            if (!answer)
                return tl::make_unexpected(answer.error());
            holds = *answer;
        } else {
            name = rest.substr(0, name_length(rest));
            understood = name;
            rest = skip_blanks(rest.substr(name.size()));
        }
        if (rest.empty()) {
            if (!relation)
                return value(name, out, depth);
            if (holds)
                out += "true";
            return {};
        }
        const char mark = rest.front();
        if (mark != '?' && mark != ':')
            return bad_at(relation ? "\"?\" expected" : "attribute name syntax error", understood, rest);
        if (!relation) {
            const auto found = source_.find(name);
            holds = found && !found->empty();
        }
        return choose(rest.substr(1), mark == '?' ? holds : !holds, mark == '?', out, depth);
    }

    // What stands behind ? or :. first says whether its text is wanted; may_else whether :{…} may follow.
    result<void> choose(std::string_view rest, bool first, bool may_else, std::string& out, int depth) {
        rest = skip_blanks(rest);
        std::string_view yes = rest;
        std::string_view no;
        if (!rest.empty() && rest.front() == '{') {
            auto inner = braced(rest);
            if (!inner)
                return tl::make_unexpected(inner.error());
            yes = *inner;
            std::string understood = std::string(yes) + '}';
            if (!rest.empty() && may_else) {
                if (rest.front() != ':')
                    return bad_at("\":\" expected", understood, rest);
                rest = skip_blanks(rest.substr(1));
                no = rest;
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
        return text(first ? yes : no, out, depth);
    }

    static int order(long long a, long long b) noexcept { return a < b ? -1 : a > b ? 1 : 0; }

    static result<int> weigh(std::string_view left, std::string_view right, bool levels) {
        if (levels) {
            const auto a = parse_level(left);
            if (!a)
                return tl::make_unexpected(a.error());
            const auto b = parse_level(right);
            if (!b)
                return tl::make_unexpected(b.error());
            return order(*a, *b);
        }
        const auto digits = [](std::string_view word) {
            return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
        };
        if (digits(left) && digits(right)) {
            const auto a = parse_integer(left);
            const auto b = parse_integer(right);
            if (a && b)
                return order(*a, *b);
        }
        return order(left.compare(right), 0);
    }

    // {left} operator {right} at the start of rest, which is moved behind it.
    result<bool> compare(std::string_view& rest, std::string_view& understood, int depth) {
        auto inner = braced(rest);
        if (!inner)
            return tl::make_unexpected(inner.error());
        std::string left;
        std::string right;
        if (auto done = text(*inner, left, depth); !done)
            return tl::make_unexpected(done.error());
        const auto sign_end = std::min(rest.find_first_not_of("=!<>"), rest.size());
        const auto sign = rest.substr(0, sign_end);
        const bool known = sign == "==" || sign == "!=" || sign == "<" || sign == "<=" || sign == ">=" || sign == ">";
        if (!known)
            return bad_at("\"==\" or \"!=\" or \"<\" or \"<=\" or \">=\" or \">\" expected",
                          std::string(*inner) + '}', rest);
        auto after = rest.substr(sign_end);
        const bool levels = after.starts_with("level");
        after = skip_blanks(levels ? after.substr(5) : after);
        if (after.empty() || after.front() != '{')
            return bad_at("\"{expression}\" expected", sign, after);
        inner = braced(after);
        if (!inner)
            return tl::make_unexpected(inner.error());
        if (auto done = text(*inner, right, depth); !done)
            return tl::make_unexpected(done.error());
        understood = *inner;
        rest = after;
        const auto weight = weigh(left, right, levels);
        if (!weight)
            return tl::make_unexpected(weight.error());
        return (sign == "==" && *weight == 0) || (sign == "!=" && *weight != 0) || (sign == "<" && *weight < 0) ||
               (sign == "<=" && *weight <= 0) || (sign == ">=" && *weight >= 0) || (sign == ">" && *weight > 0);
    }

    struct nested {
        explicit nested(int& level) : level_(level) { ++level_; }
        ~nested() { --level_; }
        nested(const nested&) = delete;
        nested& operator=(const nested&) = delete;
        int& level_;
    };

    macro_source& source_;
    values_are how_;
    int braces_ = 0;
};

} // namespace detail

result<std::string> expand_macros(std::string_view text, macro_source& source, values_are how) {
    std::string out;
    detail::expander engine(source, how);
    if (auto done = engine.text(text, out, 0); !done)
        return tl::make_unexpected(done.error());
    return out;
}

} // namespace mta::config
