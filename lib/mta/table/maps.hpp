// Several tables asked in order, as "$alias_maps" names them: the first one that knows the key answers.
//
// A table that cannot answer ends the search with an error: a later table must not hide it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

enum class folding { fold_keys, exact }; // fold: keys are looked up in lower case, but in pattern tables as they are

class maps {
public:
    // specs are "type:name" words. title names the parameter, for messages.
    [[nodiscard]] static result<maps> open(std::string title, const std::vector<std::string>& specs,
                                           folding how = folding::fold_keys);

    [[nodiscard]] bool empty() const noexcept { return tables_.empty(); }
    [[nodiscard]] const std::string& title() const noexcept { return title_; }

    // whole: the key is a whole address (or domain …). Part of one: tables of patterns are passed over.
    enum class key_kind { whole, part };
    [[nodiscard]] result<std::optional<std::string>> find(std::string_view key, key_kind kind = key_kind::whole);

private:
    std::string title_;
    folding how_ = folding::fold_keys;
    bool utf8_ = false; // smtputf8_enable: no other key is in a table
    std::vector<table_ptr> tables_;
};

} // namespace mta::table
