// A table's .cf file, and a key, of any bytes: "FILE NUL KEY NUL VALUE". No crash; and no key gets out of its quotes: what
// stands between two marks of a template is the quoted key and nothing else.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include <mta/config/main_cf.hpp>
#include <mta/table/answer_builder.hpp>
#include <mta/table/server_pool.hpp>
#include <mta/table/sql_query.hpp>

namespace {

void quote(std::string& out, std::string_view bytes, mta::table::sql_context context) {
    mta::table::append_doubled(out, bytes, context == mta::table::sql_context::double_quotes ? '"' : '\'');
}

// A string literal that begins at the start of text: where it ends.
std::size_t literal_end(std::string_view text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] != '\'')
            continue;
        if (i + 1 >= text.size() || text[i + 1] != '\'')
            return i;
        ++i;
    }
    return std::string_view::npos;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mta::table;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto first = std::min(bytes.find('\0'), bytes.size());
    const auto rest = bytes.substr(std::min(first + 1, bytes.size()));
    const auto second = std::min(rest.find('\0'), rest.size());
    const auto key = rest.substr(0, second);
    const auto value = rest.substr(std::min(second + 1, rest.size()));
    const auto whole = query_template::parse("'%s'", "query", "x");
    const auto literal = whole->expand(key, [](std::string& out, std::string_view part) {
        append_doubled(out, part, '\'');
    });
    if (!literal || literal_end(*literal) != literal->size() - 1)
        std::abort();
    const auto file = mta::config::parse_main(bytes.substr(0, first), "x.cf");
    if (!file)
        return 0;
    std::map<std::string, std::string> values;
    for (const auto& setting : file->settings)
        values[setting.name] = setting.value;
    const client_settings settings("/x.cf", [&](const std::string& name) -> std::optional<std::string> {
        const auto found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    });
    for (const auto dialect : {sql_dialect::sqlite, sql_dialect::mysql, sql_dialect::postgresql}) {
        const auto query = sql_query::read(settings, dialect);
        if (!query)
            continue;
        (void)query->expand(key, quote);
        answer_builder answer(query->answers(), key);
        (void)answer.add(value);
        (void)std::move(answer).finish();
    }
    (void)server_address::parse(settings.text("hosts").value_or(""));
    return 0;
}
