// ldap: tables (ldap_table(5)): a search below a base, the values of some attributes of what it finds, and the entries
// that special attributes refer to by DN or LDAP URL, in turn.
//
// Keys are escaped for the place they go (ldap_quoting.hpp). Every wait has a limit (parameter timeout); depth, number of
// entries and number of values have theirs.
#include "ldap_directory.hpp"
#include "ldap_quoting.hpp"

#include <algorithm>

#include <mta/table/answer_builder.hpp>
#include <mta/table/client_module.hpp>
#include <mta/table/settings_reader.hpp>

namespace mta::table {
namespace {

// The attributes of a table by what becomes of their values.
struct attribute_lists {
    std::vector<std::string> ordinary, special, terminal, leaf;

    static bool has(const std::vector<std::string>& list, std::string_view name) {
        return std::ranges::any_of(list, [&](const std::string& one) { return iequals(one, name); });
    }
    [[nodiscard]] std::vector<std::string> all() const {
        std::vector<std::string> out;
        for (const auto* list : {&ordinary, &special, &terminal, &leaf})
            for (const auto& name : *list)
                if (!has(out, name))
                    out.push_back(name);
        return out;
    }
};

struct ldap_table_options {
    query_template base, filter;
    int scope = LDAP_SCOPE_SUBTREE;
    attribute_lists attributes;
    answer_format answers;
    int recursion_limit = 1000;
    int size_limit = 0;
};

struct directory_search {
    std::string base;
    int scope;
    std::string filter;
    std::vector<std::string> attributes;
};

struct values_freer {
    void operator()(berval** values) const noexcept { ::ldap_value_free_len(values); }
};
using values_ptr = std::unique_ptr<berval*, values_freer>;

std::vector<std::string_view> views(const values_ptr& values) {
    std::vector<std::string_view> out;
    for (berval** one = values.get(); one != nullptr && *one != nullptr; ++one)
        out.emplace_back((*one)->bv_val, (*one)->bv_len);
    return out;
}

// One lookup: searches a connection and collects values.
class directory_lookup {
public:
    directory_lookup(LDAP* handle, const ldap_table_options& options, int timeout, const client_log& log,
                     std::string_view key)
        : handle_(handle), options_(options), timeout_(timeout), log_(log), key_(key), answer_(options.answers, key) {}

    // The trial is done, also when an error of ours ends it; error() tells.
    trial run() {
        const auto base = options_.base.expand(key_, quote_name);
        const auto filter = options_.filter.expand(key_, quote_filter);
        if (!base || !filter)
            return trial::done;
        const auto code = search({*base, options_.scope, *filter, options_.attributes.all()}, 0);
        if (code == LDAP_NO_SUCH_OBJECT) {
            // A base that has the key in it need not exist.
            const bool fixed = std::ranges::all_of(options_.base.pieces(), [](const auto& one) { return one.what == 0; });
            if (fixed)
                log_.warning("search base '" + *base + "' not found: " + describe(handle_, code));
            return trial::done;
        }
        if (code != LDAP_SUCCESS)
            error_ = "search failed with error " + describe(handle_, code);
        return after(code);
    }

    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    [[nodiscard]] std::optional<std::string> finish() && { return finished(std::move(answer_), key_, log_); }

private:
    // LDAP_SUCCESS also when error_ says that the lookup must end.
    int search(const directory_search& what, int depth) {
        std::vector<char*> names;
        for (const auto& name : what.attributes)
            names.push_back(const_cast<char*>(name.c_str()));
        names.push_back(nullptr);
        timeval limit{timeout_, 0};
        LDAPMessage* raw = nullptr;
        const int code = ::ldap_search_ext_s(handle_, what.base.c_str(), what.scope, what.filter.c_str(), names.data(), 0,
                                             nullptr, nullptr, &limit, options_.size_limit, &raw);
        const message_ptr found(raw);
        if (code != LDAP_SUCCESS)
            return code;
        for (auto* entry = ::ldap_first_entry(handle_, found.get()); entry != nullptr && error_.empty();
             entry = ::ldap_next_entry(handle_, entry))
            if (const int inner = take_entry(entry, depth); inner != LDAP_SUCCESS)
                return inner;
        return LDAP_SUCCESS;
    }

    [[nodiscard]] bool entry_has(LDAPMessage* entry, const std::vector<std::string>& names) const {
        return std::ranges::any_of(names, [&](const std::string& name) {
            const values_ptr values(::ldap_get_values_len(handle_, entry, name.c_str()));
            return !views(values).empty();
        });
    }

    int take_entry(LDAPMessage* entry, int depth) {
        const auto& lists = options_.attributes;
        const bool terminal = entry_has(entry, lists.terminal);
        const bool leaf = !terminal && !entry_has(entry, lists.special);
        BerElement* state = nullptr;
        int code = LDAP_SUCCESS;
        for (char* name = ::ldap_first_attribute(handle_, entry, &state); name != nullptr;
             name = ::ldap_next_attribute(handle_, entry, state)) {
            const values_ptr values(::ldap_get_values_len(handle_, entry, name));
            const bool wanted = terminal ? attribute_lists::has(lists.terminal, name)
                                         : attribute_lists::has(lists.ordinary, name) ||
                                               (leaf && attribute_lists::has(lists.leaf, name));
            const bool special = !terminal && attribute_lists::has(lists.special, name);
            ::ldap_memfree(name);
            if (wanted)
                take_values(views(values));
            else if (special)
                code = follow(views(values), depth + 1);
            if (code != LDAP_SUCCESS || !error_.empty())
                break;
        }
        ::ber_free(state, 0);
        return code;
    }

    void take_values(const std::vector<std::string_view>& values) {
        for (const auto value : values)
            if (auto added = answer_.add(value); !added) {
                error_ = added.error().text();
                return;
            }
    }

    int follow(const std::vector<std::string_view>& references, int depth) {
        for (const auto reference : references) {
            if (depth >= options_.recursion_limit) {
                error_ = "recursion limit of " + std::to_string(options_.recursion_limit) + " exceeded for '" +
                         std::string(reference) + "'";
                return LDAP_SUCCESS;
            }
            const auto next = reference_search(std::string(reference));
            if (!next)
                continue;
            const int code = search(*next, depth);
            if (code == LDAP_NO_SUCH_OBJECT)
                log_.warning("special result '" + std::string(reference) + "' not found");
            else if (code != LDAP_SUCCESS)
                return code;
            if (!error_.empty())
                return LDAP_SUCCESS;
        }
        return LDAP_SUCCESS;
    }

    // The search that a DN or an LDAP URL stands for; nullopt when the URL is none, or gives none of our attributes.
    std::optional<directory_search> reference_search(const std::string& reference) {
        if (!::ldap_is_ldap_url(reference.c_str()))
            return directory_search{reference, LDAP_SCOPE_BASE, "(objectclass=*)", options_.attributes.all()};
        LDAPURLDesc* raw = nullptr;
        if (const int code = ::ldap_url_parse(reference.c_str(), &raw); code != LDAP_URL_SUCCESS) {
            error_ = "malformed URL '" + reference + "' (error " + std::to_string(code) + ")";
            return std::nullopt;
        }
        const std::unique_ptr<LDAPURLDesc, decltype(&::ldap_free_urldesc)> url(raw, ::ldap_free_urldesc);
        directory_search out{url->lud_dn == nullptr ? "" : url->lud_dn,
                             url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope,
                             url->lud_filter == nullptr ? "(objectclass=*)" : url->lud_filter, options_.attributes.all()};
        if (url->lud_attrs != nullptr && *url->lud_attrs != nullptr) {
            std::vector<std::string> theirs;
            for (char** one = url->lud_attrs; *one != nullptr; ++one)
                theirs.emplace_back(*one);
            if (!attribute_lists::has(theirs, "*"))
                std::erase_if(out.attributes, [&](const auto& name) { return !attribute_lists::has(theirs, name); });
            if (out.attributes.empty())
                return std::nullopt;
        }
        return out;
    }

    LDAP* handle_;
    const ldap_table_options& options_;
    int timeout_;
    const client_log& log_;
    std::string_view key_;
    answer_builder answer_;
    std::string error_;
};

class ldap_table final : public lookup_table {
public:
    ldap_table(std::string name, directory_options directory, ldap_table_options options, pool_options pool,
               const client_log& log)
        : lookup_table(std::move(name), {.may_block = true}), directory_(std::move(directory)),
          options_(std::move(options)), log_(log),
          servers_(directory_.uris, [this](const server_address& to) { return connect(to); },
                   [this](const std::string& why) { log_.warning(why); }, pool) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto ignore = [](std::string&, std::string_view) {};
        if (!options_.answers.format.accepts_key(key) || !options_.base.expand(key, ignore) ||
            !options_.filter.expand(key, ignore))
            return std::nullopt;
        std::optional<directory_lookup> last;
        auto asked = servers_.ask([&](ldap_ptr& server, std::string& why) {
            last.emplace(server.get(), options_, directory_.timeout, log_, key);
            const auto outcome = last->run();
            why = last->error();
            return outcome;
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        if (!last->error().empty())
            return fail(errc::temporary, last->error());
        return std::move(*last).finish();
    }

private:
    result<std::unique_ptr<ldap_ptr>> connect(const server_address& to) const {
        auto opened = open_directory(to.text, directory_);
        if (!opened)
            return tl::make_unexpected(opened.error());
        return std::make_unique<ldap_ptr>(std::move(*opened));
    }

    directory_options directory_;
    ldap_table_options options_;
    client_log log_;
    server_pool<ldap_ptr> servers_;
};

// Words of server_host as URIs: a host may have a port of its own.
std::vector<std::string> server_uris(const std::string& hosts, long long port) {
    std::vector<std::string> out;
    for (const auto word : split(hosts, " \t\r\n,")) {
        std::string one(word);
        if (one.find("://") == std::string::npos) {
            const auto colon = one.rfind(':');
            const bool has_port = colon != std::string::npos && one.find(']', colon) == std::string::npos;
            one = "ldap://" + one + (has_port ? "" : ":" + std::to_string(port));
        }
        out.push_back(std::move(one));
    }
    return out;
}

// Empty when all is well.
std::string read_directory(settings_reader& read, directory_options& o, const client_log& log) {
    o.uris = server_uris(read.text("server_host", "localhost", 1), read.number("server_port", LDAP_PORT));
    o.timeout = static_cast<int>(read.number("timeout", 10));
    if (o.timeout <= 0)
        o.timeout = 10;
    o.version = static_cast<int>(read.number("version", 3));
    o.dereference = static_cast<int>(read.number("dereference", 0));
    o.debug_level = static_cast<int>(read.number("debuglevel", 0));
    o.chase_referrals = read.yes_no("chase_referrals", false);
    o.bind_dn = read.text("bind_dn");
    o.bind_password = read.text("bind_pw");
    o.sasl_mechanisms = read.text("sasl_mechs");
    o.sasl_realm = read.text("sasl_realm");
    o.sasl_authorization = read.text("sasl_authz_id");
    o.sasl_least_strength = static_cast<int>(read.number("sasl_minssf", 0));
    o.start_tls = read.yes_no("start_tls", false);
    o.tls_require_certificate = read.yes_no("tls_require_cert", false);
    o.tls_ca_directory = read.text("tls_ca_cert_dir");
    o.tls_ca_file = read.text("tls_ca_cert_file");
    o.tls_certificate = read.text("tls_cert");
    o.tls_key = read.text("tls_key");
    o.tls_cipher_suite = read.text("tls_cipher_suite");
    o.tls_random_file = read.text("tls_random_file");
    const auto bind = lower(read.text("bind", "yes"));
    if (bind == "yes" || bind == "simple")
        o.bind = directory_options::bind_kind::simple;
    else if (bind == "no" || bind == "none")
        o.bind = directory_options::bind_kind::none;
    else if (bind == "sasl")
        o.bind = directory_options::bind_kind::sasl;
    else
        return "unsupported bind: expected yes, simple, no, none or sasl";
    const bool needs_three = o.start_tls || std::ranges::any_of(o.uris, [](const std::string& uri) {
        return uri.starts_with("ldapi:") || uri.starts_with("ldaps:");
    });
    if (o.version != 3 && (o.version != 2 || needs_three)) {
        log.warning("version " + std::to_string(o.version) + " cannot be used here: using 3");
        o.version = 3;
    }
    if (o.uris.empty())
        return "server_host names no server";
    return {};
}

result<query_template> read_template(settings_reader& read, const client_settings& settings, const std::string& name,
                                     std::string_view otherwise, std::size_t least) {
    const auto text = read.text(name, otherwise, least);
    return query_template::parse(text, name, settings.name());
}

result<table_ptr> open_ldap(const client_settings& settings, const client_log& log) {
    settings_reader read(settings);
    directory_options directory;
    if (const auto why = read_directory(read, directory, log); !why.empty())
        return fail(errc::malformed, settings.name() + ": " + why);
    ldap_table_options options;
    const auto scope = lower(read.text("scope", "sub", 1));
    options.scope = scope == "one" ? LDAP_SCOPE_ONELEVEL : scope == "base" ? LDAP_SCOPE_BASE : LDAP_SCOPE_SUBTREE;
    if (scope != "one" && scope != "base" && scope != "sub")
        log.warning("unrecognized value of scope \"" + scope + "\": using \"sub\"");
    for (const char* gone : {"cache", "cache_expiry", "cache_size"})
        if (settings.has(gone))
            log.warning(std::string(gone) + " is ignored: the client library has no cache");
    options.attributes.ordinary = read.words("result_attribute", "maildrop");
    options.attributes.special = read.words("special_result_attribute", "");
    options.attributes.terminal = read.words("terminal_result_attribute", "");
    options.attributes.leaf = read.words("leaf_result_attribute", "");
    options.recursion_limit = static_cast<int>(read.number("recursion_limit", 1000, 1));
    auto answers = answer_format::read(settings, "result_filter");
    if (!answers)
        return tl::make_unexpected(answers.error());
    options.answers = std::move(*answers);
    options.size_limit = static_cast<int>(read.number("size_limit", options.answers.limit));
    auto filter = read_template(read, settings, "query_filter", "(mailacceptinggeneralid=%s)", 1);
    auto base = read_template(read, settings, "search_base", "", 0);
    auto pool = read.pool();
    pool.order = server_order::as_written;
    if (!read.trouble().empty())
        return fail(errc::malformed, read.trouble());
    if (!filter || !base)
        return tl::make_unexpected(filter ? base.error() : filter.error());
    options.filter = std::move(*filter);
    options.base = std::move(*base);
    return table_ptr(std::make_unique<ldap_table>("ldap:" + settings.name(), std::move(directory), std::move(options),
                                                  pool, log));
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_ldap>("ldap", MTAD_TABLE_MAY_BLOCK);
    return &module;
}
