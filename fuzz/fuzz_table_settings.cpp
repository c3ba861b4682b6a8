// A table's .cf file, and a key, of any bytes: "FILE NUL KEY NUL VALUE"; the first byte says which dialect reads it, and
// whether its parameters stand in a file or in main.cf (x_NAME).
//
// No crash; and no key gets out of its quotes: what stands between two marks of a template is the quoted key and nothing
// else, SQLite gives back the very key that was selected, and no byte that means something to LDAP stays bare.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include <mta/config/main_cf.hpp>
#include <mta/core/text.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/table/answer_builder.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/server_pool.hpp>
#include <mta/table/sql_query.hpp>

#include "../modules/ldap_quoting.hpp"

using namespace mta;
using namespace mta::table;

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

// A file that has a name.
class named_file {
public:
    explicit named_file(std::string_view bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        require(fd_ && ::write(fd_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    [[nodiscard]] std::string name() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

private:
    unique_fd fd_;
};

void quote(std::string& out, std::string_view bytes, sql_context context) {
    append_doubled(out, bytes, context == sql_context::double_quotes ? '"' : '\'');
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

std::string without_hex_pairs(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        require(i + 2 < text.size());
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
    }
    return out;
}

void quoted_keys(std::string_view key) {
    const auto whole = query_template::parse("'%s'", "query", "x");
    const auto literal = whole->expand(key, [](std::string& out, std::string_view part) { append_doubled(out, part, '\''); });
    require(literal && literal_end(*literal) == literal->size() - 1);
    std::string filter;
    quote_filter(filter, key);
    require(without_hex_pairs(filter) == key && filter.find_first_of(std::string_view("*()\0", 4)) == std::string::npos);
    std::string name;
    quote_name(name, key);
    require(without_hex_pairs(name) == key && name.find_first_of(std::string_view(",+\"<>;=# \0", 10)) == std::string::npos);
}

void queries(std::string_view text, std::string_view key, std::string_view value) {
    const auto file = config::parse_main(text, "x.cf");
    if (!file)
        return;
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
}

// Whatever the file says, no other table is opened, and nobody is asked.
constexpr std::string_view ending = "\nbackup =\ndbpath = /dev/null\n";

bool names_tables(std::string_view text) {
    const auto at = text.find("domain");
    return at != std::string_view::npos && text.find_first_of(":/", at) != std::string_view::npos;
}

void open_by_file(const std::string& type, std::string_view text) {
    if (names_tables(text))
        return;
    const named_file settings(std::string(text) + std::string(ending));
    (void)open_table(type + ":" + settings.name());
}

void open_by_main(const std::string& type, std::string_view text) {
    if (names_tables(text))
        return;
    const auto cfg = config::configuration::parse("/nowhere", std::string(text) + "\nx_backup =\nx_dbpath = /dev/null\n", "main.cf");
    if (!cfg)
        return;
    set_environment(*cfg, logger());
    (void)open_table(type + ":x");
}

// A key is data for a real server too.
void select_key(std::string_view key) {
    static const named_file settings("query = SELECT '%s'\ndbpath = /dev/null\n");
    static const auto table = open_table("sqlite:" + settings.name());
    if (!table)
        return; // no such module
    const auto found = (*table)->lookup(key);
    if (key.empty() || key.find('\0') != std::string_view::npos || !is_utf8(key))
        require(!found || !*found);
    else
        require(found && *found && **found == key);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 65536)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto first = std::min(bytes.find('\0'), bytes.size());
    const auto text = bytes.substr(0, first);
    const auto rest = bytes.substr(std::min(first + 1, bytes.size()));
    const auto second = std::min(rest.find('\0'), rest.size());
    const auto key = rest.substr(0, second);
    constexpr const char* dialects[] = {"mysql", "pgsql", "ldap", "sqlite", "memcache", "redis"};
    constexpr std::size_t count = std::size(dialects);
    const std::size_t which = data[0] % (2 * count + 2);
    if (which < count)
        open_by_file(dialects[which], text);
    else if (which < 2 * count)
        open_by_main(dialects[which - count], text);
    else if (which == 2 * count)
        queries(text, key, rest.substr(std::min(second + 1, rest.size())));
    else
        select_key(bytes);
    quoted_keys(key);
    return 0;
}
