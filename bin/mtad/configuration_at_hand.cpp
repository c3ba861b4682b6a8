#include <unistd.h>

#include <mta/core/text.hpp>

#include "configuration_at_hand.hpp"
#include "roles.hpp"

namespace mta::daemon {
namespace {

failure in_main_cf(const config::configuration& cfg, std::string text) {
    return fail(errc::malformed, cfg.directory() + "/main.cf: parameter " + std::move(text));
}

// No worker of this service could start with a value that does not parse.
result<void> check_service(const config::configuration& cfg, const config::service_line& line) {
    const auto served = role_of(line.program);
    if (!served)
        return in_master_cf(cfg, line, "unknown program \"" + line.program + "\"");
    if (*served == role::later || line.settings.empty())
        return {};
    if (auto valid = with_settings(cfg, line.name, line.settings).validate(); !valid)
        return in_master_cf(cfg, line, "service " + line.name + ": " + valid.error().text());
    return {};
}

result<void> find_accounts(configuration_at_hand& out) {
    if (!out.privileged) {
        out.owner.uid = ::geteuid();
        out.owner.gid = ::getegid();
        return {};
    }
    const std::string name = out.cfg.text("mail_owner");
    auto owner = find_user(name);
    if (!owner)
        return tl::make_unexpected(owner.error());
    if (!*owner)
        return in_main_cf(out.cfg, "mail_owner: unknown user name value: " + name);
    if ((*owner)->uid == 0)
        return in_main_cf(out.cfg, "mail_owner: user must not have user ID 0");
    out.owner = **owner;
    const std::string group_name = out.cfg.text("setgid_group");
    auto group = find_group(group_name);
    if (!group)
        return tl::make_unexpected(group.error());
    if (!*group)
        return in_main_cf(out.cfg, "setgid_group: unknown group name: " + group_name);
    out.drop_group = (*group)->gid;
    return {};
}

} // namespace

failure in_master_cf(const config::configuration& cfg, const config::service_line& line, std::string text) {
    return fail(errc::malformed, "file " + cfg.directory() + "/master.cf: line " + std::to_string(line.line) +
                                     ": " + std::move(text));
}

config::configuration with_settings(const config::configuration& cfg, const std::string& service,
                                    const config::overrides& settings) {
    config::overrides all{{"service_name", service}};
    all.insert(all.end(), settings.begin(), settings.end());
    return cfg.with_overrides(all);
}

result<configuration_at_hand> read_configuration(const std::string& config_directory, bool privileged) {
    auto cfg = config::configuration::load(config_directory);
    if (!cfg)
        return tl::make_unexpected(cfg.error());
    if (auto valid = cfg->validate(); !valid)
        return tl::make_unexpected(valid.error());
    auto services = config::load_master(*cfg);
    if (!services)
        return tl::make_unexpected(services.error());
    for (const auto& line : *services)
        if (auto checked = check_service(*cfg, line); !checked)
            return tl::make_unexpected(checked.error());
    configuration_at_hand out;
    out.privileged = privileged;
    out.cfg = std::move(*cfg);
    out.services = std::move(*services);
    if (auto found = find_accounts(out); !found)
        return tl::make_unexpected(found.error());
    return out;
}

} // namespace mta::daemon
