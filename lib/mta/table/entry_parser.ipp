#include <algorithm>
#include <string>

#include <mta/address/tokens.hpp>
#include <mta/table/entry_parser.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

using address::item;
using address::item_kind;

class key_first final : public entry_parser {
public:
    result<source_entry> parse(std::string_view line) override {
        const auto entry = read_entry(line);
        if (!entry)
            return tl::make_unexpected(entry.error());
        return source_entry{entry->key, entry->value, entry->key.ends_with(':') ? looks_like_alias : ""};
    }
};

bool is_special(const item& one, char c) { return one.kind == item_kind::special && one.text.front() == c; }

class name_first final : public entry_parser {
public:
    result<source_entry> parse(std::string_view line) override {
        auto name = address::scan_tokens(line, line.size(), "!%|");
        const auto colon = std::ranges::find_if(name, [](const item& one) { return is_special(one, ':'); });
        if (colon == name.begin() || colon == name.end() || colon + 1 == name.end() ||
            std::any_of(name.begin(), colon, [](const item& one) { return is_special(one, ','); }))
            return fail(errc::malformed, "need name:value pair");
        address::item_list value(std::make_move_iterator(colon + 1), std::make_move_iterator(name.end()));
        name.erase(colon, name.end());
        if (std::ranges::any_of(name, [](const item& one) { return is_special(one, '@') || is_special(one, '%'); }))
            return fail(errc::malformed, "name must be local");
        for (auto& one : name)
            if (one.kind == item_kind::quoted_string)
                one.kind = item_kind::atom;
        key_ = written(std::move(name));
        value_ = written(std::move(value));
        return source_entry{key_, value_, {}};
    }

private:
    static std::string written(address::item_list tokens) {
        for (auto& one : tokens)
            if (one.kind == item_kind::domain_literal)
                std::erase(one.text, '\\');
        auto out = address::format_addresses(tokens);
        std::ranges::replace_if(out, [](char c) { return c == '\n' || c == '\t'; }, ' ');
        return out;
    }

    std::string key_;
    std::string value_;
};

} // namespace

std::unique_ptr<entry_parser> postmap_parser() { return std::make_unique<key_first>(); }
std::unique_ptr<entry_parser> postalias_parser() { return std::make_unique<name_first>(); }

} // namespace mta::table
