#include "names.hpp"

#include <algorithm>

#include <mta/config/expand.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/table_settings.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

namespace mta::postconf {
namespace {

constexpr std::string_view transports[] = {"error", "lmtp", "local", "pipe", "smtp", "virtual"};

std::string scope_key(const config::service_entry& entry) {
    return entry.name() + '/' + entry.type();
}

bool is_raw(std::string_view name) {
    const auto row = config::find_parameter(name);
    return row && config::parameters()[*row].type == config::kind::raw;
}

// What the one file sets, without defaults: as the reference sees names of restriction classes.
class given_values final : public config::macro_source {
public:
    given_values(const configuration& cfg, const service_scope* local) : cfg_(cfg), local_(local) {}
    std::optional<std::string_view> find(std::string_view name) override {
        if (local_ != nullptr) {
            const auto at = local_->settings.find(name);
            return at != local_->settings.end() ? std::optional<std::string_view>(at->second) : std::nullopt;
        }
        return cfg_.is_set(name) ? cfg_.unexpanded(name) : std::nullopt;
    }

private:
    const configuration& cfg_;
    const service_scope* local_;
};

} // namespace

name_survey::name_survey(const configuration& cfg, const std::vector<config::service_entry>& services)
    : cfg_(cfg), main_path_(cfg.directory() + "/main.cf"), master_path_(cfg.directory() + "/master.cf") {
    add_service_names(services);
    for (const auto& entry : services) {
        if (entry.settings.empty())
            continue;
        auto& local = scopes_[scope_key(entry)];
        for (const auto& [name, value] : entry.settings)
            local.settings.insert_or_assign(name, value);
    }
    for (const auto& entry : services)
        for (const auto& trouble : entry.troubles)
            warnings_.push_back("master.cf: " + trouble);
    for (auto& [key, local] : scopes_)
        for (const auto& entry : {"process_id", "process_name", "service_name"})
            if (const auto at = local.settings.find(entry); at != local.settings.end()) {
                warnings_.push_back(master_path_ + ": read-only parameter assignment: " + at->first + '=' + at->second);
                local.settings.erase(at);
            }
    scan_classes(cfg_.unexpanded("smtpd_restriction_classes").value_or(""), nullptr);
    for (const auto& entry : cfg_.settings())
        scan(entry.name, entry.value, nullptr);
    // Old names that a default still looks at, such as postscreen_dnsbl_ttl.
    for (const auto& one : config::parameters())
        if (one.initial.find('$') != std::string_view::npos)
            for (const auto& name : config::referenced_names(one.initial).names)
                if (!is_builtin(name))
                    (void)claim(name, nullptr);
    for (auto& [key, local] : scopes_) {
        if (const auto at = local.settings.find("smtpd_restriction_classes"); at != local.settings.end())
            scan_classes(at->second, &local);
        for (const auto& [name, value] : local.settings)
            scan(name, value, &local);
    }
}

void name_survey::add_service_names(const std::vector<config::service_entry>& services) {
    for (const auto& line : services) {
        const bool transport =
            std::find(std::begin(transports), std::end(transports), line.program()) != std::end(transports);
        const bool timed = line.program() == "pipe" || line.program() == "spawn";
        for (const auto& family : config::parameter_families())
            if (family.name == "_time_limit" ? timed : transport)
                service_names_.insert(line.name() + std::string(family.name));
    }
}

const service_scope& name_survey::scope(const config::service_entry& entry) const {
    static const service_scope none;
    const auto at = scopes_.find(scope_key(entry));
    return at == scopes_.end() ? none : at->second;
}

// A value of main.cf (local is null) or of a service refers to name. Whether anybody sets it.
bool name_survey::claim(std::string_view name, service_scope* local) {
    bool set = false;
    if (local != nullptr && local->settings.contains(name)) {
        set = true;
        local->used.emplace(name);
    } else if (cfg_.is_set(name)) {
        set = true;
        if (!is_known(name))
            user_names_.emplace(name);
    }
    if (local == nullptr)
        for (auto& [key, other] : scopes_)
            if (other.settings.contains(name)) {
                set = true;
                other.used.emplace(name);
            }
    return set;
}

void name_survey::refer(std::string_view name, service_scope* local) {
    if (claim(name, local) || is_known(name))
        return;
    auto text = (local != nullptr ? master_path_ : main_path_) + ": undefined parameter: " + std::string(name);
    if (told_.insert(text).second)
        warnings_.push_back(std::move(text));
}

void name_survey::scan(std::string_view name, std::string_view value, service_scope* local) {
    if (is_raw(name))
        return;
    const auto found = config::referenced_names(value);
    for (const auto& word : found.names)
        refer(word, local);
    if (!found.trouble.empty()) // maybe in a branch that is never taken: expanding decides
        warnings_.push_back(found.trouble);
    if (is_builtin(name) || is_service(name))
        scan_tables(expanded(value, local), local);
}

// The user's own restriction classes are parameters that smtpd_restriction_classes names.
void name_survey::scan_classes(std::string_view value, service_scope* local) {
    given_values source(cfg_, local);
    const auto text = config::expand_macros(value, source);
    if (!text) {
        warnings_.push_back(text.error().detail);
        broken_ = true;
        return;
    }
    for (const auto name : split(*text, ", \t\r\n"))
        refer(name, local);
}

// A value may be free text or a list of tables: whatever has the form TYPE:NAME is taken for a table.
void name_survey::scan_tables(std::string_view value, service_scope* local) {
    if (value.find_first_of(":{") == std::string_view::npos)
        return;
    for (const auto& word : config::split_list(value)) {
        if (word.starts_with('{'))
            scan_tables(inside_braces(word), local);
        else
            scan_table(word, local);
    }
}

std::string_view name_survey::inside_braces(std::string_view word) {
    const auto inner = config::braced_text(word);
    if (const auto trouble = config::brace_trouble(word); !trouble.empty())
        warnings_.push_back("main.cf: " + trouble);
    return inner;
}

void name_survey::scan_table(std::string_view word, service_scope* local) {
    while (word.starts_with("proxy:"))
        word.remove_prefix(6);
    const auto colon = word.find(':');
    if (colon == std::string_view::npos)
        return;
    const auto type = word.substr(0, colon);
    const auto name = word.substr(colon + 1);
    if (name.starts_with('{')) { // pipemap:{hash:/x,ldap:y}
        scan_tables(inside_braces(name), local);
        return;
    }
    const auto suffixes = config::table_settings(type);
    if (suffixes.empty())
        return;
    if (name.starts_with('/') || name.starts_with('.')) {
        scan_table_file(type, std::string(name));
        return;
    }
    for (const auto suffix : suffixes)
        (void)claim(std::string(name) + '_' + std::string(suffix), local);
}

void name_survey::scan_table_file(std::string_view type, const std::string& path) {
    const auto where = std::string(type) + ':' + path;
    if (!told_.insert(where).second)
        return;
    const auto text = read_file(path);
    if (!text) {
        warnings_.push_back("open \"" + std::string(type) + "\" configuration \"" + path +
                            "\": " + text.error().code.message());
        return;
    }
    const auto file = config::parse_main(*text, path);
    if (!file) {
        warnings_.push_back(file.error().detail);
        return;
    }
    const auto known = config::table_settings(type);
    std::map<std::string_view, std::string_view> last;
    for (const auto& entry : file->settings)
        last[entry.name] = entry.value;
    for (const auto& [name, value] : last)
        if (std::find(known.begin(), known.end(), name) == known.end())
            warnings_.push_back(where + ": unused parameter: " + std::string(name) + '=' + std::string(value));
}

std::string name_survey::expanded(std::string_view value, const service_scope* local) {
    if (value.find('$') == std::string_view::npos)
        return std::string(value);
    auto text = local == nullptr
                    ? cfg_.expand(value)
                    : cfg_.with_overrides({local->settings.begin(), local->settings.end()}).expand(value);
    if (!text) {
        warnings_.push_back(text.error().detail);
        broken_ = true;
        return {};
    }
    return std::move(*text);
}

std::vector<std::string> name_survey::unused_in_main() const {
    std::vector<std::string> out;
    for (const auto& entry : cfg_.settings())
        if (!is_known(entry.name))
            out.push_back(main_path_ + ": unused parameter: " + std::string(entry.name) + '=' +
                          std::string(entry.value));
    return out;
}

std::vector<std::string> name_survey::unused_in_services() const {
    std::vector<std::string> out;
    for (const auto& [key, local] : scopes_)
        for (const auto& [name, value] : local.settings)
            if (!is_known(name) && !local.used.contains(name))
                out.push_back(master_path_ + ": unused parameter: " + name + '=' + value);
    return out;
}

} // namespace mta::postconf
