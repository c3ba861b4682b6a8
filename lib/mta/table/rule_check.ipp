#include <map>
#include <tuple>

#include <mta/table/registry.hpp>
#include <mta/table/rule_check.hpp>
#include <mta/table/rule_source.hpp>

namespace mta::table {
namespace {

std::vector<shadowed_rule> same_patterns(const std::vector<pattern_rule>& rules) {
    std::vector<shadowed_rule> out;
    std::map<std::tuple<std::uint32_t, std::string, std::string, bool, std::string, std::string, bool>, int> seen;
    for (const auto& one : rules) {
        if (one.condition)
            continue;
        const auto [it, fresh] =
            seen.try_emplace({one.inside, one.what.text, one.what.flags, one.what.negated, one.unless.text,
                              one.unless.flags, one.unless.negated},
                             one.line);
        if (!fresh)
            out.push_back({one.line, it->second, "/" + one.what.text + "/" + one.what.flags});
    }
    return out;
}

} // namespace

result<std::vector<shadowed_rule>> find_shadowed(const std::string& type, const std::string& name) {
    // Opening the table says what is wrong with each rule.
    if (auto opened = open_table(type + ":" + name); !opened)
        return tl::make_unexpected(opened.error());
    if (type == "cidr")
        return find_shadowed_networks(name);
    if (type != "regexp" && type != "pcre")
        return std::vector<shadowed_rule>{};
    const auto source = read_rules(type, name);
    if (!source)
        return tl::make_unexpected(source.error());
    // Warnings of the parser were said above.
    const auto dialect = type == "pcre" ? pattern_dialect::pcre : pattern_dialect::regexp;
    return same_patterns(parse_rules(dialect, name, source->text, [](const pattern_rule&) { return true; }, false));
}

} // namespace mta::table
