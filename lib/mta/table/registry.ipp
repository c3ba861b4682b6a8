#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/table/module_table.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct row {
    std::string_view type;
    result<table_ptr> (*open)(const std::string& name, const open_options& options); // nullptr: not built here
};

constexpr row rows[] = {
#ifdef MTA_BERKELEY_DB
    {"btree", open_btree},
#else
    {"btree", nullptr},
#endif
    {"cdb", nullptr},
    {"cidr", nullptr},
    {"dbm", nullptr},
    {"environ", open_environ},
    {"fail", open_fail},
#ifdef MTA_BERKELEY_DB
    {"hash", open_hash},
#else
    {"hash", nullptr},
#endif
    {"inline", open_inline},
    {"ldap", nullptr},
    {"lmdb", nullptr},
    {"memcache", open_memcache},
    {"mysql", nullptr},
    {"nis", open_nis},
    {"pcre", nullptr},
    {"pgsql", nullptr},
    {"pipemap", nullptr},
    {"proxy", open_proxy},
    {"randmap", nullptr},
    {"redis", open_redis},
    {"regexp", open_regexp},
    {"sdbm", nullptr},
    {"socketmap", open_socketmap},
    {"sqlite", nullptr},
    {"static", open_static},
    {"tcp", open_tcp},
    {"texthash", open_texthash},
    {"unionmap", nullptr},
    {"unix", open_unix},
};

const row* find_row(std::string_view type) noexcept {
    const auto it = std::ranges::find(rows, type, &row::type);
    return it == std::end(rows) ? nullptr : it;
}

} // namespace

known find_type(std::string_view type) {
    const auto* found = find_row(type);
    if ((found == nullptr || found->open == nullptr) && has_module(type))
        return known::usable;
    return found == nullptr ? known::unknown : found->open == nullptr ? known::not_built : known::usable;
}

std::vector<std::string> type_names() {
    std::vector<std::string> out;
    for (const auto& r : rows)
        if (r.open != nullptr)
            out.emplace_back(r.type);
    for (auto& type : module_types())
        if (std::ranges::find(out, type) == out.end())
            out.push_back(std::move(type));
    std::ranges::sort(out);
    return out;
}

spec_parts split_spec(std::string_view spec, std::string_view default_type) {
    const auto colon = spec.find(':');
    if (colon == std::string_view::npos)
        return {std::string(default_type), std::string(spec)};
    return {std::string(spec.substr(0, colon)), std::string(spec.substr(colon + 1))};
}

result<table_ptr> open_table(std::string_view spec, const open_options& options) {
    const auto colon = spec.find(':');
    if (colon == std::string_view::npos)
        return fail(errc::malformed, "open dictionary: expecting \"type:name\" form instead of \"" +
                                         std::string(spec) + "\"");
    const auto type = spec.substr(0, colon);
    const auto* found = find_row(type);
    if (found == nullptr || found->open == nullptr)
        return open_module_table(type, std::string(spec.substr(colon + 1)));
    return found->open(std::string(spec.substr(colon + 1)), options);
}

} // namespace mta::table
