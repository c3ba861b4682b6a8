// Bodies of ignored_parameters.hpp.
#include <mta/config/ignored_parameters.hpp>

#include <algorithm>

namespace mta::config {
namespace {

// Where an installation put its files: facts for installers and packages, which nobody acts on at run time.
bool is_installation_parameter(std::string_view name) {
    static constexpr std::string_view names[] = {
        "command_directory", "html_directory",   "mailq_path",    "manpage_directory", "meta_directory",
        "newaliases_path",   "readme_directory", "sample_directory", "sendmail_path",  "shlib_directory",
    };
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

} // namespace

std::vector<std::string> ignored_parameters(const configuration& cfg) {
    std::vector<std::string> out;
    for (const auto& entry : cfg.settings()) {
        if (entry.line == 0)
            continue;
        const auto row = find_parameter(entry.name);
        const auto* info = row ? &detail::fixed_rows[*row] : detail::find_family(entry.name);
        if (info == nullptr || !info->acts.empty() || is_installation_parameter(entry.name))
            continue;
        // A value that is the default anyway changes nothing, and is not worth a line.
        if (cfg.expand(entry.value).value_or("") != cfg.expand(info->initial).value_or(""))
            out.emplace_back(entry.name);
    }
    return out;
}

} // namespace mta::config
