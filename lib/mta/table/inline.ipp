#include <mta/core/text.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/map_table.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

failure bad_inline(const std::string& reason, const std::string& name) {
    return fail(errc::malformed, reason + ": \"inline:" + name + "\"; need \"inline:{name=value...}\"");
}

} // namespace

result<table_ptr> open_inline(const std::string& name, const open_options& options) {
    const auto inside = inside_braces(name);
    if (!inside || inside->empty())
        return bad_inline("bad syntax", name);
    map_table::entries entries;
    auto rest = *inside;
    while (auto word = next_word(rest)) {
        // Braces around a pair let it hold blanks.
        if (word->starts_with('{')) {
            const auto pair = inside_braces(*word);
            if (!pair)
                return bad_inline(pair.error().text(), name);
            word = *pair;
        }
        const auto equals = word->find('=');
        if (equals == std::string_view::npos)
            return bad_inline("missing '=' after attribute name", name);
        const auto key = trim(word->substr(0, equals));
        const auto text = trim(word->substr(equals + 1));
        auto value = options.file_values ? encoded_files(text) : std::string(text);
        if (!value)
            return fail(errc::malformed, value.error().text() + ": \"inline:" + name +
                                             "\"; need \"inline:{name=filename...}\"");
        entries.insert_or_assign(options.fold_case ? folded_key(key, options.utf8) : std::string(key),
                                 map_table::value{std::move(*value), 0});
    }
    return std::make_unique<map_table>("inline:" + name, std::move(entries), file_mark());
}

} // namespace mta::table
