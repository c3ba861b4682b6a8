// The %-templates of tables that ask a server: how a key becomes a query, and how a value becomes an answer.
//
//     %s all of it   %u the local part (all of it without '@')   %d the domain   %% a percent sign
//     %1 … %9        the labels of the key's domain, the last one first
//     %S %U %D       as in lower case, but always of the key
//
// A template that wants a part which is not there expands to nothing at all: no query is sent, no value is given.
//
// No I/O. What is inserted goes through the caller's quoting; the template's own text does not. What was inserted is
// never looked at again, so that a '%' in a key or a value means nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::table {

// The parts of "user@domain" that templates insert.
struct template_input {
    std::string_view whole;
    std::string_view user;   // all of it without '@'
    std::string_view domain; // empty without '@'

    explicit template_input(std::string_view text) noexcept : whole(text), user(text) {
        if (const auto at = text.rfind('@'); at != std::string_view::npos) {
            user = text.substr(0, at);
            domain = text.substr(at + 1);
        }
    }
};

class query_template {
public:
    struct piece {
        char what; // 0 for text, else the letter or digit after '%'
        std::string text;
    };

    // title is "query" or "result", where the file or the prefix in main.cf: for the message.
    [[nodiscard]] static result<query_template> parse(std::string_view text, std::string_view title,
                                                      std::string_view where);

    // Appends bytes to out so that they are data wherever the template put them.
    using quote = std::function<void(std::string& out, std::string_view bytes)>;

    // A query: every part is of the key.
    [[nodiscard]] std::optional<std::string> expand(std::string_view key, const quote& quoted) const;

    // An answer: %s %u %d are parts of value, the others of key.
    [[nodiscard]] std::optional<std::string> expand(std::string_view key, std::string_view value) const;

    // Whether the parts of the key that the template wants are there. For an answer this is asked before the query.
    [[nodiscard]] bool accepts_key(std::string_view key) const;

    [[nodiscard]] const std::vector<piece>& pieces() const noexcept { return pieces_; }

private:
    [[nodiscard]] std::optional<std::string> fill(const template_input& key, const template_input& value,
                                                  const quote& quoted) const;
    std::vector<piece> pieces_;
};

} // namespace mta::table
