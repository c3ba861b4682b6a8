#include <algorithm>

#include <mta/address/domain_name.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/command.hpp>

namespace mta::smtp {

namespace {

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Of addresses fewer characters are blanks than of command lines.
constexpr bool is_address_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// No address carries a line end, nor what looks like one, into headers and envelopes; the reference's parser too makes
// a plain blank of each (tests/interop/smtpd.py).
constexpr char plain_blank(char c) noexcept {
    return is_address_blank(c) ? ' ' : c;
}

// Where the quoted string that starts at `at` ends (behind its closing quote), npos when it does not.
std::size_t after_quotes(std::string_view text, std::size_t at) {
    for (++at; at < text.size(); ++at) {
        if (text[at] == '\\')
            ++at;
        else if (text[at] == '"')
            return at + 1;
    }
    return std::string_view::npos;
}

// Where the word that starts at `at` ends.
std::size_t word_end(std::string_view line, std::size_t at, bool at_colon) {
    int depth = 0;
    while (at < line.size()) {
        const char c = line[at];
        if (c == '"') {
            at = std::min(after_quotes(line, at), line.size());
            continue;
        }
        if (c == '\\' && depth > 0)
            ++at;
        else if (c == '<')
            ++depth;
        else if (c == '>' && depth > 0)
            --depth;
        else if (depth == 0 && is_blank(c))
            break;
        else if (depth == 0 && c == ':' && at_colon)
            return at + 1;
        ++at;
    }
    return std::min(at, line.size());
}

// One address taken apart character by character.
class path_reader {
public:
    explicit path_reader(std::string_view text) : text_(text) {}

    bool read() {
        skip();
        if (at_ == text_.size())
            return finish();
        if (text_[at_] == '@' && !skip_route())
            return false;
        if (!read_local())
            return false;
        if (at_ < text_.size() && !read_domain())
            return false;
        return at_ == text_.size() && finish();
    }

    std::string address;

private:
    [[nodiscard]] bool finish() const { return text_.empty() || !address.empty(); }

    // Blanks and comments.
    bool skip() {
        while (at_ < text_.size()) {
            if (is_address_blank(text_[at_])) {
                ++at_;
            } else if (text_[at_] == '(') {
                int depth = 0;
                do {
                    if (text_[at_] == '\\')
                        ++at_;
                    else if (text_[at_] == '(')
                        ++depth;
                    else if (text_[at_] == ')')
                        --depth;
                    if (++at_ >= text_.size() && depth > 0)
                        return false;
                } while (depth > 0);
            } else {
                break;
            }
        }
        return true;
    }

    // "@a,@b:" in front of an address.
    bool skip_route() {
        const auto colon = text_.find(':', at_);
        if (colon == std::string_view::npos || text_.find_first_of(" \"(", at_) < colon)
            return text_.find(':') ==
                   std::string_view::npos; // "@domain": an address with an empty local part
        at_ = colon + 1;
        return skip() && at_ < text_.size();
    }

    // Up to the last "@" outside quotes and brackets, or the end; adds what it means to address.
    bool read_local() {
        const std::size_t stop = last_at();
        bool space = false;
        while (at_ < stop) {
            const char c = text_[at_];
            if (is_address_blank(c) || c == '(') {
                if (!skip() || at_ > stop)
                    return false;
                space = !address.empty();
                continue;
            }
            // Two words side by side are two addresses or none.
            if (space && c != '.' && address.back() != '.')
                return false;
            space = false;
            if (c == '"') {
                const auto end = after_quotes(text_, at_);
                if (end == std::string_view::npos || end > stop)
                    return false;
                // `a"b"c` is no local part; `"a"."b"` is.
                if ((end < stop && text_[end] != '.' && text_[end] != ' ' && text_[end] != '(') ||
                    (!address.empty() && address.back() != '.'))
                    return false;
                append_quoted(text_.substr(at_ + 1, end - at_ - 2));
                at_ = end;
                continue;
            }
            if (c == '\\' && ++at_ >= stop)
                return false;
            if (c != '\\' &&
                (c == ',' || c == ';' || c == '<' || c == '>' || c == ')' || c == '[' || c == ']'))
                return false;
            address += plain_blank(text_[at_++]);
        }
        return true;
    }

    [[nodiscard]] std::size_t last_at() const {
        std::size_t found = text_.size();
        for (std::size_t i = at_; i < text_.size();) {
            if (text_[i] == '"') {
                i = std::min(after_quotes(text_, i), text_.size());
                continue;
            }
            if (text_[i] == '\\')
                ++i;
            else if (text_[i] == '@')
                found = i;
            else if (text_[i] == '[' || text_[i] == '(')
                i = std::min(text_.find(text_[i] == '[' ? ']' : ')', i), text_.size() - 1);
            ++i;
        }
        return found;
    }

    bool read_domain() {
        ++at_;
        std::string domain;
        for (;;) {
            const auto before = at_;
            if (!skip() || at_ >= text_.size())
                break;
            // Two words side by side are no domain.
            if (at_ > before && !domain.empty() && domain.back() != '.' && text_[at_] != '.')
                return false;
            if (text_[at_] == '[') {
                const auto end = text_.find(']', at_);
                if (end == std::string_view::npos)
                    return false;
                domain += text_.substr(at_, end + 1 - at_);
                at_ = end + 1;
            } else {
                domain += text_[at_++];
            }
        }
        if (at_ < text_.size() || !address::valid_domain(domain))
            return false;
        address += '@';
        address += domain;
        return true;
    }

    void append_quoted(std::string_view inner) {
        for (std::size_t i = 0; i < inner.size(); ++i) {
            if (inner[i] == '\\' && i + 1 < inner.size())
                ++i;
            address += plain_blank(inner[i]);
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

} // namespace

std::vector<std::string_view> split_command(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0;;) {
        while (at < line.size() && is_blank(line[at]))
            ++at;
        if (at == line.size())
            return words;
        const std::size_t end = word_end(line, at, words.size() == 1);
        words.push_back(line.substr(at, end - at));
        at = end;
    }
}

result<std::string> parse_path(std::string_view argument, path_policy policy) {
    std::string_view text = argument;
    const bool bracket = !text.empty() && text.front() == '<';
    if (policy == path_policy::strict && !bracket)
        return fail(errc::malformed, "address is not in angle brackets");
    if (bracket && text.back() != '>')
        return fail(errc::malformed, "angle bracket is not closed");
    while (!text.empty() && text.front() == '<')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == '>')
        text.remove_suffix(1);
    // Lists with one address in them pass, as with the reference.
    while (!text.empty() && (text.front() == ',' || is_blank(text.front())))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ',' || is_blank(text.back())))
        text.remove_suffix(1);
    path_reader reader(text);
    if (!reader.read())
        return fail(errc::malformed, "bad address syntax");
    return std::move(reader.address);
}

std::optional<std::string> decode_xtext(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        int c = static_cast<unsigned char>(text[i]);
        if (c == '+') {
            const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return std::nullopt;
            c = high * 16 + low;
            i += 2;
        }
        if (c < 0x20 || c >= 0x7f)
            return std::nullopt;
        out += static_cast<char>(c);
    }
    return out;
}

std::string encode_xtext(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && c != '+' && c != '=') {
            out += c;
        } else {
            out += '+';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

std::optional<unsigned> parse_notify(std::string_view text) {
    unsigned flags = 0;
    for (;;) {
        const auto comma = text.find(',');
        const auto one = text.substr(0, comma);
        const unsigned flag = iequals(one, "NEVER")     ? notify_never
                              : iequals(one, "SUCCESS") ? notify_success
                              : iequals(one, "FAILURE") ? notify_failure
                              : iequals(one, "DELAY")   ? notify_delay
                                                        : 0u;
        if (flag == 0 || (flags & flag) != 0 ||
            ((flags | flag) & notify_never && (flags | flag) != notify_never))
            return std::nullopt;
        flags |= flag;
        if (comma == std::string_view::npos)
            return flags;
        text.remove_prefix(comma + 1);
    }
}

std::optional<unsigned> parse_ret(std::string_view text) {
    if (iequals(text, "FULL"))
        return ret_full;
    if (iequals(text, "HDRS"))
        return ret_headers;
    return std::nullopt;
}

} // namespace mta::smtp
