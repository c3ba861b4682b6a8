// What the postconf command does with its options: list parameters, list services, edit main.cf.
#pragma once

#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/edit.hpp>
#include <mta/config/master.hpp>

namespace mta::postconf {

struct options {
    std::set<char> letters;
    config::overrides settings; // -o
    std::string classes = "all";
    std::string directory;
    bool chosen_directory = false;
    std::vector<std::string> words;

    [[nodiscard]] bool has(char letter) const { return letters.contains(letter); }
};

// One value as it is shown: runs of blanks become one; -f folds lines; -h and -H leave a side out.
void print_value(std::FILE* out, const options& opt, std::string_view name, std::string_view value);

// Parameters of main.cf (the default mode) and their warnings.
[[nodiscard]] int list_parameters(const options& opt, config::command_log& log);

// -M, -F and -P.
[[nodiscard]] int list_services(const options& opt, config::command_log& log);

// -e, -X and -#.
[[nodiscard]] int edit_parameters(const options& opt, config::command_log& log);

// Names that text refers to by $.
[[nodiscard]] std::vector<std::string> references(std::string_view text);

// main.cf and master.cf with what they define, and the complaints about what nobody uses or defines.
class survey {
public:
    survey(const configuration& cfg, std::vector<config::service_line> services);
    [[nodiscard]] bool is_builtin(std::string_view name) const { return config::find_parameter(name).has_value(); }
    [[nodiscard]] bool is_service(std::string_view name) const { return service_names_.contains(std::string(name)); }
    [[nodiscard]] bool is_user(std::string_view name) const { return user_names_.contains(std::string(name)); }
    [[nodiscard]] const std::set<std::string>& service_names() const { return service_names_; }
    [[nodiscard]] const std::set<std::string>& user_names() const { return user_names_; }
    [[nodiscard]] const std::vector<config::service_line>& services() const { return services_; }
    enum class unused_in_main { told, not_told };
    void warn(config::command_log& log, unused_in_main unused = unused_in_main::told) const;

private:
    void add_service_names();
    void mark(std::string_view value);

    configuration cfg_;
    std::vector<config::service_line> services_;
    std::set<std::string> service_names_; // smtp_destination_recipient_limit …
    std::set<std::string> user_names_;    // the user's own, referred to somewhere
};

} // namespace mta::postconf
