#include <map>
#include <memory>

#include <mta/config/main_cf.hpp>
#include <mta/core/file.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/host_settings.hpp>

namespace mta::table {

result<client_settings> read_settings(const std::string& name) {
    if (!client_settings::is_file(name)) {
        std::optional<config::configuration> cfg;
        if (const auto* current = current_configuration())
            cfg = *current;
        return client_settings(name, [cfg, name](const std::string& parameter) -> std::optional<std::string> {
            const auto full = name + "_" + parameter;
            if (!cfg || !cfg->is_set(full))
                return std::nullopt;
            return cfg->text(full);
        });
    }
    const auto text = read_file(name, 1U << 20U);
    if (!text)
        return fail(text.error().code, "open " + name);
    auto parsed = config::parse_main(*text, name);
    if (!parsed)
        return tl::make_unexpected(parsed.error());
    for (const auto& warning : parsed->warnings)
        current_log().warning(warning);
    auto values = std::make_shared<std::map<std::string, std::string>>();
    for (auto& setting : parsed->settings) {
        if (values->contains(setting.name))
            current_log().warning(name + ", line " + std::to_string(setting.line) + ": overriding earlier entry: " +
                                  setting.name);
        (*values)[setting.name] = std::move(setting.value);
    }
    return client_settings(name, [values](const std::string& parameter) -> std::optional<std::string> {
        const auto found = values->find(parameter);
        return found == values->end() ? std::nullopt : std::optional(found->second);
    });
}

} // namespace mta::table
