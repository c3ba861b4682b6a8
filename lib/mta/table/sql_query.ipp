#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/table/sql_query.hpp>

namespace mta::table {
namespace {

// The query of the older parameters.
result<std::string> older_query(const client_settings& settings, sql_dialect dialect) {
    if (dialect == sql_dialect::postgresql)
        if (const auto function = settings.find("select_function"); function && !function->empty())
            return "SELECT " + *function + "('%s')";
    std::string words[3];
    constexpr const char* names[] = {"select_field", "table", "where_field"};
    // Asked in the reference's order, so that the same one of several missing parameters is named.
    for (const int i : {1, 0, 2}) {
        auto word = settings.text(names[i], {}, 1);
        if (!word)
            return word;
        words[i] = std::move(*word);
    }
    const auto conditions = settings.text("additional_conditions");
    if (!conditions)
        return conditions;
    return "SELECT " + words[0] + " FROM " + words[1] + " WHERE " + words[2] + " = '%s' " + *conditions;
}

// Follows the text of a template through its quotes.
class quote_scanner {
public:
    explicit quote_scanner(sql_dialect dialect) : dialect_(dialect) {}

    void read(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (open_ == 0) {
                if (c == '\'' || c == '"' || c == '`') {
                    open_ = c;
                    escapes_ = c != '`' && backslash_escapes(i > 0 ? text[i - 1] : '\0');
                }
            } else if (c == '\\' && escapes_) {
                ++i;
            } else if (c == open_) {
                open_ = 0; // a doubled quote opens again at once
            }
        }
    }

    [[nodiscard]] sql_context context() const {
        if (open_ == '\'')
            return escapes_ && dialect_ == sql_dialect::postgresql ? sql_context::escape_string
                                                                   : sql_context::single_quotes;
        return open_ == '"' ? sql_context::double_quotes : sql_context::bare;
    }

private:
    [[nodiscard]] bool backslash_escapes(char before) const {
        return dialect_ == sql_dialect::mysql ||
               (dialect_ == sql_dialect::postgresql && (before == 'E' || before == 'e'));
    }
    sql_dialect dialect_;
    char open_ = 0;
    bool escapes_ = false;
};

bool is_bare_word(std::string_view bytes) {
    return std::ranges::all_of(bytes, [](char c) {
        return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
}

} // namespace

std::vector<sql_context> find_contexts(const query_template& query, sql_dialect dialect) {
    std::vector<sql_context> out;
    quote_scanner scanner(dialect);
    for (const auto& piece : query.pieces()) {
        if (piece.what == 0)
            scanner.read(piece.text);
        else
            out.push_back(scanner.context());
    }
    return out;
}

void append_doubled(std::string& out, std::string_view bytes, char mark) {
    for (const char c : bytes) {
        if (c == mark)
            out += c;
        out += c;
    }
}

result<sql_query> sql_query::read(const client_settings& settings, sql_dialect dialect) {
    auto text = settings.text("query");
    if (text && text->empty())
        text = older_query(settings, dialect);
    if (!text)
        return tl::make_unexpected(text.error());
    auto query = query_template::parse(*text, "query", settings.name());
    if (!query)
        return tl::make_unexpected(query.error());
    auto answers = answer_format::read(settings);
    if (!answers)
        return tl::make_unexpected(answers.error());
    sql_query out;
    out.contexts_ = find_contexts(*query, dialect);
    out.query_ = std::move(*query);
    out.answers_ = std::move(*answers);
    return out;
}

std::optional<std::string> sql_query::expand(std::string_view key, const quote& quoted) const {
    if (!answers_.format.accepts_key(key))
        return std::nullopt;
    std::size_t place = 0;
    bool refused = false;
    auto text = query_.expand(key, [&](std::string& out, std::string_view bytes) {
        const auto context = contexts_[place++];
        if (context != sql_context::bare)
            quoted(out, bytes, context);
        else if (is_bare_word(bytes))
            out += bytes;
        else
            refused = true;
    });
    return refused ? std::nullopt : text;
}

} // namespace mta::table
