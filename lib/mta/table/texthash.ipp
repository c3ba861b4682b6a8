#include <mta/core/file.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/map_table.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/text_source.hpp>
#include <mta/table/types.hpp>

namespace mta::table {

result<table_ptr> open_texthash(const std::string& name, const open_options& options) {
    auto fd = open_file(name, O_RDONLY);
    struct stat status {};
    if (!fd || ::fstat(fd->get(), &status) != 0)
        return fail(fd ? std::error_code(errno, std::generic_category()) : fd.error().code, "open database " + name);
    auto text = read_file(name, std::size_t{1} << 32U);
    if (!text)
        return tl::make_unexpected(text.error());
    map_table::entries entries;
    line_reader lines(*text, name);
    while (const auto line = lines.next()) {
        const std::string where = name + ", line " + std::to_string(line->line) + ": ";
        if (options.utf8 && !is_utf8_line(*line)) {
            warning(where + "non-UTF-8 input \"" + std::string(line->text) + "\"" + ignored_line);
            continue;
        }
        const auto entry = read_entry(line->text);
        if (!entry) {
            const auto why = entry.error().text();
            warning(where + why + (why.ends_with(ignored_line) ? "" : ignored_line));
            continue;
        }
        auto value = options.file_values ? encoded_files(entry->value) : std::string(entry->value);
        if (!value) {
            warning(where + value.error().text() + ": skipping this entry");
            continue;
        }
        if (entry->key.ends_with(':'))
            warning(where + looks_like_alias);
        auto key = options.fold_case ? folded_key(entry->key, options.utf8) : std::string(entry->key);
        const auto [it, added] =
            entries.try_emplace(std::move(key), map_table::value{std::move(*value), line->line});
        if (!added)
            warning(where + "duplicate entry: \"" + std::string(entry->key) + "\"");
    }
    return std::make_unique<map_table>("texthash:" + name, std::move(entries), file_mark(name, status));
}

} // namespace mta::table
