// Which names mean something here: built in, made by a service of master.cf, or the user's own and referred to.
//
// A name of main.cf that no value refers to is unused; a name that a value refers to and nobody sets is undefined. A
// service sees its own -o settings first, then main.cf; a value of main.cf may refer to what services set.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/config/service_table.hpp>

namespace mta::postconf {

// The -o settings of all lines with one name and type: the last of each name counts.
struct service_scope {
    std::map<std::string, std::string, std::less<>> settings;
    std::set<std::string, std::less<>> used; // of settings, by themselves or by main.cf
};

class name_survey {
public:
    // Never fails: what cannot be read is among the warnings.
    name_survey(const configuration& cfg, const std::vector<config::service_entry>& services);

    [[nodiscard]] static bool is_builtin(std::string_view name) { return config::find_parameter(name).has_value(); }
    [[nodiscard]] bool is_service(std::string_view name) const { return service_names_.contains(name); }
    [[nodiscard]] bool is_user(std::string_view name) const { return user_names_.contains(name); }
    [[nodiscard]] bool is_known(std::string_view name) const {
        return is_builtin(name) || is_service(name) || is_user(name);
    }
    [[nodiscard]] const std::set<std::string, std::less<>>& service_names() const { return service_names_; }
    [[nodiscard]] const std::set<std::string, std::less<>>& user_names() const { return user_names_; }

    // What the lines of this NAME/TYPE set together.
    [[nodiscard]] const service_scope& scope(const config::service_entry& entry) const;

    // Complaints found while reading values: undefined names, bad settings of tables, broken $-syntax.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    // Whether a value has broken $-syntax; the last warnings say which.
    [[nodiscard]] bool broken() const { return broken_; }

    // What nobody refers to: "PATH: unused parameter: name=value".
    [[nodiscard]] std::vector<std::string> unused_in_main() const;
    [[nodiscard]] std::vector<std::string> unused_in_services() const;

private:
    void add_service_names(const std::vector<config::service_entry>& services);
    bool claim(std::string_view name, service_scope* local);
    void refer(std::string_view name, service_scope* local);
    void scan(std::string_view name, std::string_view value, service_scope* local);
    void scan_tables(std::string_view value, service_scope* local);
    std::string_view inside_braces(std::string_view word);
    void scan_table(std::string_view word, service_scope* local);
    void scan_table_file(std::string_view type, const std::string& path);
    void scan_classes(std::string_view value, service_scope* local);
    [[nodiscard]] std::string expanded(std::string_view value, const service_scope* local);

    configuration cfg_;
    std::string main_path_;
    std::string master_path_;
    std::map<std::string, service_scope, std::less<>> scopes_; // by NAME/TYPE
    std::set<std::string, std::less<>> service_names_;         // smtp_destination_recipient_limit …
    std::set<std::string, std::less<>> user_names_;            // set in main.cf, referred to somewhere
    std::set<std::string, std::less<>> told_;
    std::vector<std::string> warnings_;
    bool broken_ = false;
};

} // namespace mta::postconf
