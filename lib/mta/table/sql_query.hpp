// What the SQL tables have in common: the query, from parameter query or from the older select_field, table,
// where_field and additional_conditions, and what becomes of its rows.
//
// What is inserted must stay data, wherever the template puts it: in '…', in "…" (a string for some servers, a name for
// others), in PostgreSQL's E'…'. How that is quoted depends on the server: the caller does it. Outside any quotes nothing can
// be quoted: there only letters, digits, '_' and '.' pass, and any other key is not looked up.
//
// No I/O.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/answer_builder.hpp>
#include <mta/table/client_settings.hpp>
#include <mta/table/query_template.hpp>

namespace mta::table {

enum class sql_dialect {
    sqlite,
    mysql,      // a backslash escapes within '…' and "…"
    postgresql, // E'…', and select_function among the older parameters
};

// Where a template inserts something.
enum class sql_context { bare, single_quotes, double_quotes, escape_string };

// The context of each %-expansion of the template, in order.
[[nodiscard]] std::vector<sql_context> find_contexts(const query_template& query, sql_dialect dialect);

class sql_query {
public:
    [[nodiscard]] static result<sql_query> read(const client_settings& settings, sql_dialect dialect);

    // Appends bytes to out as data in this context, which is not bare.
    using quote = std::function<void(std::string& out, std::string_view bytes, sql_context context)>;

    // nullopt: this key cannot be in the table, by what the query or result_format wants of it.
    [[nodiscard]] std::optional<std::string> expand(std::string_view key, const quote& quoted) const;

    [[nodiscard]] const answer_format& answers() const noexcept { return answers_; }

private:
    query_template query_;
    std::vector<sql_context> contexts_;
    answer_format answers_;
};

// Doubles every occurrence of mark: how SQL quotes it within itself.
void append_doubled(std::string& out, std::string_view bytes, char mark);

} // namespace mta::table
