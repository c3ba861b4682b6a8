// Bodies of tokens.hpp.
//
// The list is walked from its end: a phrase is only known as such once the "<" or ":" behind it was seen. What the
// walk makes of input outside the grammar is the historic behaviour, which users' address books rely on; the rows of
// testdata/address/rewritten.txt pin it.
#include <mta/address/tokens.hpp>

#include <algorithm>

#include <mta/address/parts.hpp>

namespace mta::address {

namespace {

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

constexpr bool is_special(char c) noexcept {
    return std::string_view("()<>[]:;@\\,.\"").find(c) != std::string_view::npos;
}

// Whether a word stands by itself or must be shown as a quoted string.
bool is_atom(std::string_view text, std::string_view more_specials) noexcept {
    if (text.empty())
        return false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7F || is_special(c) || more_specials.find(c) != std::string_view::npos)
            return false;
    }
    return true;
}

void append_word(std::string& out, const item& word) {
    if (word.kind != item_kind::quoted_string) {
        out += word.text;
        return;
    }
    out += '"';
    for (const char c : word.text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    out += '"';
}

class scanner {
public:
    scanner(std::string_view value, std::string_view more_specials) noexcept
        : value_(value), more_specials_(more_specials) {}

    bool next(item& into) {
        while (at_ < value_.size() && is_blank(value_[at_]))
            ++at_;
        if (at_ == value_.size())
            return false;
        switch (value_[at_]) {
        case '(':
            into = {item_kind::comment, comment()};
            return true;
        case '[':
            into = {item_kind::domain_literal, literal()};
            return true;
        case '"':
            into = {item_kind::quoted_string, quoted()};
            return true;
        default:
            break;
        }
        if (ends_word(value_[at_]) && value_[at_] != '\\') {
            into = {item_kind::special, std::string(1, value_[at_++])};
            return true;
        }
        auto text = word();
        if (text.empty()) // a lone backslash at the end
            return next(into);
        const auto kind = is_atom(text, more_specials_) ? item_kind::atom : item_kind::quoted_string;
        into = {kind, std::move(text)};
        return true;
    }

private:
    [[nodiscard]] bool ends_word(char c) const noexcept {
        return is_special(c) || more_specials_.find(c) != std::string_view::npos;
    }
    // A line end would end the header: it becomes a blank wherever text is kept.
    void keep(std::string& out, char c) { out += c == '\n' || c == '\r' ? ' ' : c; }

    std::string comment() {
        std::string out;
        int depth = 0;
        while (at_ < value_.size()) {
            const char c = value_[at_++];
            keep(out, c);
            if (c == '(')
                ++depth;
            else if (c == ')' && --depth == 0)
                break;
            else if (c == '\\' && at_ < value_.size())
                keep(out, value_[at_++]);
        }
        return out;
    }
    std::string literal() {
        std::string out;
        while (at_ < value_.size()) {
            const char c = value_[at_++];
            keep(out, c);
            if (c == ']')
                return out;
            if (c == '\\' && at_ < value_.size())
                keep(out, value_[at_++]);
        }
        return out += ']';
    }
    std::string quoted() {
        std::string out;
        for (++at_; at_ < value_.size();) {
            char c = value_[at_++];
            if (c == '"')
                break;
            if (c == '\\' && at_ < value_.size())
                c = value_[at_++];
            keep(out, c);
        }
        return out;
    }
    std::string word() {
        std::string out;
        while (at_ < value_.size() && !is_blank(value_[at_]) && (value_[at_] == '\\' || !ends_word(value_[at_]))) {
            if (value_[at_] == '\\' && ++at_ == value_.size())
                break;
            keep(out, value_[at_++]);
        }
        return out;
    }

    std::string_view value_;
    std::string_view more_specials_;
    std::size_t at_ = 0;
};

// Turns tokens into items, from the last token to the first; out is in reverse order too.
class grouper {
public:
    explicit grouper(item_list tokens) : tokens_(std::move(tokens)), left_(tokens_.size()) {}

    item_list run() {
        while (left_ > 0) {
            const char c = special();
            if (c == '>') {
                mailbox();
            } else if (c == ';') {
                in_group_ = true;
                take();
            } else if (c == ',') {
                take();
            } else if (c == ':' && in_group_) {
                in_group_ = false;
                --left_;
                out_.push_back({item_kind::group_start, ":"});
                while (left_ > 0 && special() != ',')
                    take();
            } else if (last().kind == item_kind::comment) {
                take();
            } else {
                bare();
            }
        }
        std::reverse(out_.begin(), out_.end());
        return std::move(out_);
    }

private:
    [[nodiscard]] item& last() { return tokens_[left_ - 1]; }
    [[nodiscard]] char special() { return last().kind == item_kind::special ? last().text[0] : '\0'; }
    void take() { out_.push_back(std::move(tokens_[--left_])); }

    // The address of the tokens [from, to), then its comments; pushed in reverse.
    void put_address(std::size_t from, std::size_t to) {
        std::string text;
        for (auto i = to; i-- > from;)
            if (tokens_[i].kind == item_kind::comment)
                out_.push_back(std::move(tokens_[i]));
        for (auto i = from; i < to; ++i)
            if (tokens_[i].kind != item_kind::comment)
                append_word(text, tokens_[i]);
        out_.push_back({item_kind::address, std::move(text)});
    }

    void mailbox() {
        take();
        const auto end = left_;
        while (left_ > 0 && special() != '<')
            --left_;
        put_address(left_, end);
        if (left_ == 0)
            return;
        take();
        // The display name.
        while (left_ > 0) {
            const char c = special();
            if (c == ',' || c == ';' || c == '>')
                return;
            if (c == ':') {
                if (!in_group_)
                    take();
                return;
            }
            take();
        }
    }

    void bare() {
        const auto end = left_;
        bool word_before = false;
        for (; left_ > 0; --left_) {
            const char c = special();
            if (c == ',' || c == ';' || c == '>' || (c == ':' && in_group_))
                break;
            if (last().kind == item_kind::comment)
                continue;
            const bool word = c == '\0';
            if (word && word_before)
                break;
            word_before = word;
        }
        put_address(left_, end);
        if (left_ > 0 && special() != ',' && !(special() == ':' && in_group_))
            out_.push_back({item_kind::special, ","});
    }

    item_list tokens_;
    std::size_t left_; // tokens not yet grouped
    item_list out_;
    bool in_group_ = false;
};

} // namespace

item_list scan_tokens(std::string_view value, std::size_t limit, std::string_view more_specials) {
    item_list tokens;
    scanner scan(value, more_specials);
    for (item token; tokens.size() < limit && scan.next(token);)
        tokens.push_back(std::move(token));
    return tokens;
}

item_list parse_addresses(std::string_view value, std::size_t limit) {
    return grouper(scan_tokens(value, limit)).run();
}

std::string format_addresses(const item_list& items) {
    std::string out;
    bool after_word = false; // the next word needs a blank
    for (const auto& it : items) {
        switch (it.kind) {
        case item_kind::group_start:
            out += ": ";
            after_word = false;
            break;
        case item_kind::special:
            if (it.text == "<" && !out.empty() && out.back() != ' ' && out.back() != '\n')
                out += ' ';
            out += it.text == "," ? ",\n" : it.text;
            after_word = false;
            break;
        default:
            if (it.kind == item_kind::address && it.text.empty())
                break;
            if (after_word)
                out += ' ';
            append_word(out, it);
            after_word = true;
            break;
        }
    }
    return out;
}

std::vector<std::string> addresses_in(std::string_view value, std::size_t limit) {
    std::vector<std::string> out;
    for (const auto& it : parse_addresses(value, limit))
        if (it.kind == item_kind::address)
            out.push_back(unquote(it.text));
    return out;
}

std::string first_address(std::string_view value) {
    for (const auto& it : parse_addresses(value))
        if (it.kind == item_kind::address)
            return unquote(it.text);
    return {};
}

std::string to_internal(std::string_view typed) {
    return first_address(typed);
}

} // namespace mta::address
