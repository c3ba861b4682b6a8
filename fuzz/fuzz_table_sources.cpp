// Sources of tables of any bytes: the first byte says which syntax. No crash, and what comes out keeps its promises: no
// key is empty where the syntax forbids it, every rule stands in an "if" before it, folded text stays UTF-8, and a
// filter names every rule whose words are there.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <mta/core/text.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/cdb_format.hpp>
#include <mta/table/entry_list.hpp>
#include <mta/table/entry_parser.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/literal_filter.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/rule_source.hpp>
#include <mta/table/text_source.hpp>

namespace {

using namespace mta::table;

void require(bool condition) {
    if (!condition)
        std::abort();
}

void entries(entry_parser& parser, std::string_view text, bool key_required) {
    line_reader lines(text, "t");
    entry_list list;
    int last = 0;
    while (const auto line = lines.next()) {
        require(line->line > last);
        last = line->line;
        const auto entry = parser.parse(line->text);
        if (!entry)
            continue;
        require(!key_required || (!entry->key.empty() && !entry->value.empty()));
        list.add(entry->key, entry->value, line->line);
    }
    const auto sorted = list.sorted(on_duplicate::keep_first, [](const database_entry&) {});
    for (std::size_t i = 1; i < sorted.size(); ++i)
        require(sorted[i - 1].key < sorted[i].key);
}

void rules(pattern_dialect dialect, std::string_view text) {
    const auto all = parse_rules(dialect, "t", text, [](const pattern_rule&) { return true; });
    std::vector<std::vector<literal_factor>> factors;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        require(all[i].inside == no_rule || (all[i].inside < i && all[all[i].inside].condition));
        factors.push_back(required_literals(dialect, all[i].what));
    }
    const literal_filter filter(factors);
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = 0; i < all.size() && i < 50; ++i) {
        if (factors[i].empty())
            continue;
        // A text that holds a word of every factor.
        std::string key;
        for (const auto& factor : factors[i])
            key += factor.front() + " ";
        found.clear();
        filter.candidates(key, found);
        require(std::ranges::find(found, i) != found.end());
    }
}

void in_name(std::string_view text) {
    std::string name(text.substr(0, text.find('\0')));
    for (const char* type : {"inline:", "static:", "randmap:", "cidr:{", "regexp:{", "pcre:{"}) {
        const std::string spec = type + name;
        // A name that does not begin with a brace is a file.
        if (spec.find(":{") == std::string::npos && (spec.starts_with("cidr") || spec.starts_with("regexp")))
            continue;
        if (const auto table = open_table(spec))
            for (const char* key : {"", "a", "192.0.2.1", "::1", "a@b"})
                (void)(*table)->lookup(key);
    }
}

void constant_database(std::string_view bytes) {
    const auto view = cdb_view::open(bytes);
    if (!view)
        return;
    (void)view->find("a");
    (void)view->find("");
    std::size_t seen = 0;
    (void)view->walk([&](std::string_view, std::string_view) { return ++seen < 100000; });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 65536)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 7) {
    case 0:
        entries(*postmap_parser(), text, true);
        break;
    case 1:
        entries(*postalias_parser(), text, false);
        break;
    case 2:
        rules(pattern_dialect::regexp, text);
        break;
    case 3:
        rules(pattern_dialect::pcre, text);
        break;
    case 4:
        in_name(text);
        break;
    case 5:
        constant_database(text);
        break;
    default:
        if (mta::is_utf8(text))
            require(mta::is_utf8(folded_key(text, true)));
        break;
    }
    return 0;
}
