#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/maps.hpp>

namespace mta::table {

result<maps> maps::open(std::string title, const std::vector<std::string>& specs, folding how) {
    maps out;
    out.title_ = std::move(title);
    out.how_ = how;
    out.utf8_ = how == folding::fold_keys && current_utf8();
    for (const auto& spec : specs) {
        auto table = open_live_table(spec, {.fold_case = how == folding::fold_keys, .utf8 = out.utf8_});
        if (!table)
            return tl::make_unexpected(table.error());
        out.tables_.push_back(std::move(*table));
    }
    return out;
}

result<std::optional<std::string>> maps::find(std::string_view key, key_kind kind) {
    const std::string folded = how_ == folding::fold_keys ? folded_key(key, utf8_ && is_utf8(key)) : std::string(key);
    for (const auto& table : tables_) {
        if (kind == key_kind::part && table->traits().patterns)
            continue;
        auto found = table->lookup(table->traits().exact_keys() ? key : std::string_view(folded));
        if (!found)
            return fail(found.error().code,
                        "table " + table->name() + " (" + title_ + "): " + found.error().text());
        // An empty answer is a mistake in the table: as good as none.
        if (*found && !(*found)->empty())
            return found;
    }
    return std::nullopt;
}

} // namespace mta::table
