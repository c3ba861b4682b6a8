#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/module_table.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/table_writer.hpp>
#include <mta/table/text_source.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct row {
    std::string_view type;
    opener* open;         // nullptr: not built here
    writer_opener* write; // nullptr: cannot be written
};

#ifndef MTA_BERKELEY_DB
constexpr opener* open_btree = nullptr;
constexpr opener* open_hash = nullptr;
constexpr writer_opener* write_btree = nullptr;
constexpr writer_opener* write_hash = nullptr;
#endif

constexpr row rows[] = {
    {"btree", open_btree, write_btree},
    {"cdb", open_cdb, write_cdb},
    {"cidr", open_cidr, nullptr},
    {"dbm", nullptr, nullptr},
    {"debug", open_debug, nullptr},
    {"environ", open_environ, nullptr},
    {"fail", open_fail, write_fail},
    {"hash", open_hash, write_hash},
    {"inline", open_inline, nullptr},
    {"internal", open_internal, nullptr},
    {"ldap", nullptr, nullptr},
    {"lmdb", open_lmdb, write_lmdb},
    {"memcache", open_memcache, nullptr},
    {"mysql", nullptr, nullptr},
    {"nis", open_nis, nullptr},
    {"nisplus", nullptr, nullptr},
    {"pcre", open_pcre, nullptr},
    {"pgsql", nullptr, nullptr},
    {"pipemap", open_pipemap, nullptr},
    {"proxy", open_proxy, nullptr},
    {"randmap", open_randmap, nullptr},
    {"redis", open_redis, nullptr},
    {"regexp", open_regexp, nullptr},
    {"sdbm", nullptr, nullptr},
    {"socketmap", open_socketmap, nullptr},
    {"sqlite", nullptr, nullptr},
    {"static", open_static, nullptr},
    {"tcp", open_tcp, nullptr},
    {"texthash", open_texthash, nullptr},
    {"unionmap", open_unionmap, nullptr},
    {"unix", open_unix, nullptr},
};

const row* find_row(std::string_view type) noexcept {
    const auto it = std::ranges::find(rows, type, &row::type);
    return it == std::end(rows) ? nullptr : it;
}

// What a table does when it may hold UTF-8 only (smtputf8_enable): no other key is ever found, and no other value
// is an answer.
class utf8_table final : public lookup_table {
public:
    explicit utf8_table(table_ptr inner) : lookup_table(inner->name(), inner->traits()), inner_(std::move(inner)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (!is_text(key)) {
            warning(name() + ": non-UTF-8 key \"" + std::string(key) + "\": malformed UTF-8 or invalid codepoint");
            return std::nullopt;
        }
        auto found = inner_->lookup(key);
        if (found && *found && !is_text(**found)) {
            warning(name() + ": key \"" + std::string(key) + "\": non-UTF-8 value \"" + **found +
                    "\": malformed UTF-8 or invalid codepoint");
            return fail(errc::malformed);
        }
        return found;
    }
    void begin_batch() override { inner_->begin_batch(); }
    void end_batch() override { inner_->end_batch(); }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        return inner_->walk(visit);
    }
    [[nodiscard]] std::string last_place() const override { return inner_->last_place(); }
    [[nodiscard]] bool changed() const override { return inner_->changed(); }

private:
    // Nearly all of it is ASCII, and that is sooner seen.
    [[nodiscard]] static bool is_text(std::string_view bytes) noexcept { return is_ascii(bytes) || is_utf8(bytes); }

    table_ptr inner_;
};

// What to do about a type that other builds have; empty for a word that is no type anywhere.
std::string why_not_built(std::string_view type) {
#ifndef MTA_BERKELEY_DB
    if (type == "hash" || type == "btree")
        return " (this build has no Berkeley DB: use lmdb)";
#endif
    if (type == "dbm" || type == "sdbm")
        return " (not built here: use hash, lmdb or cdb)";
    if (type == "nisplus")
        return " (not built here: NIS+ has no implementation any more)";
    if (type == "mysql" || type == "pgsql" || type == "ldap" || type == "sqlite")
        return " (its module is not installed: " + module_directory() + "/table_" + std::string(type) + ".so)";
    return {};
}

failure not_here(const std::string& type) {
    return fail(errc::unsupported, "unsupported dictionary type: " + type + why_not_built(type));
}

// The reference names a package only to who builds tables.
failure not_writable_here(const std::string& type) {
    return fail(errc::unsupported, "unsupported dictionary type: " + type + ". Is the postfix-" + type +
                                       " package installed?" + why_not_built(type));
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
    const std::string type(spec.substr(0, colon));
    const std::string name(spec.substr(colon + 1));
    const auto* found = find_row(type);
    auto opened = found != nullptr && found->open != nullptr ? found->open(name, options)
                  : has_module(type)                         ? open_module_table(type, name)
                                                             : result<table_ptr>(not_here(type));
    if (opened && options.file_values)
        opened = decoding_table(std::move(*opened));
    if (opened && options.utf8)
        return std::make_unique<utf8_table>(std::move(*opened));
    return opened;
}

result<void> can_write(const std::string& type) {
    if (find_type(type) != known::usable)
        return not_writable_here(type);
    const auto* found = find_row(type);
    if (found == nullptr || found->write == nullptr)
        return fail(errc::unsupported,
                    "unsupported dictionary type: " + type + " does not support bulk-mode creation.");
    return {};
}

result<writer_ptr> open_writer(const std::string& type, const std::string& name, const writer_options& options) {
    auto writable = can_write(type);
    if (writable)
        return find_row(type)->write(name, options);
    if (options.how == write_mode::change && type == "proxy")
        return write_proxy(name, options);
    if (options.how == write_mode::change && find_type(type) != known::usable)
        return not_here(type);
    if (options.how != write_mode::change)
        return tl::make_unexpected(writable.error());
    if (type == "static" || type == "environ")
        return fail(errc::unsupported, "table " + type + ":" + name + ": delete operation is not supported");
    return fail(errc::unsupported, type + ":" + name + " map requires O_RDONLY access mode");
}

} // namespace mta::table
