// What the postconf command does with its options. Each function is one mode and gives the exit status.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/service_table.hpp>

#include "options.hpp"

namespace mta::postconf {

// Parameters of main.cf, and their warnings.
[[nodiscard]] int list_parameters(const options& opt, config::command_log& log);

// -M, -F and -P.
[[nodiscard]] int list_services(const options& opt, config::command_log& log);

// -e, -X and -# on main.cf, and on master.cf.
[[nodiscard]] int edit_parameters(const options& opt, config::command_log& log);
[[nodiscard]] int edit_services(const options& opt, config::command_log& log);

// -a, -A, -l, -m, -T.
[[nodiscard]] int show_capabilities(const options& opt, config::command_log& log);

// -b and -t.
[[nodiscard]] int show_templates(const options& opt, config::command_log& log);

// --check: one finding a line. 0 nothing to say, 1 warnings, 2 errors.
[[nodiscard]] int check(const options& opt, config::command_log& log);

enum class missing_file { fatal, warning };
// The lines of master.cf and its pieces. Lines that cannot be read end the process.
[[nodiscard]] std::vector<config::service_entry> load_services(const configuration& cfg, missing_file missing,
                                                               config::command_log& log);

void print_warnings(const std::vector<std::string>& lines, config::command_log& log);

// One word of the command line that picks services: NAME[/TYPE[/ITEM]], "*" or nothing for all of them.
struct service_request {
    std::string_view name;
    std::string_view type = "*";
    std::string_view item = "*";
    int parts = 0;

    [[nodiscard]] bool matches(std::string_view entry_name, std::string_view entry_type) const {
        return (name == "*" || name == entry_name) && (type == "*" || type == entry_type);
    }
};
[[nodiscard]] service_request parse_service_request(std::string_view word);

} // namespace mta::postconf
