#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <mta/config/file_snapshot.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

#include "configuration_at_hand.hpp"
#include "control.hpp"
#include "listeners.hpp"
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

result<void> check_protocols(const config::configuration& cfg) {
    const auto protocols = cfg.text("inet_protocols"); // the words point into it
    for (const auto& word : split(protocols, ", \t\r\n"))
        if (!iequals(word, "all") && !iequals(word, "ipv4") && !iequals(word, "ipv6"))
            return in_main_cf(cfg, "inet_protocols: unknown protocol \"" + std::string(word) + "\": use all, ipv4 or ipv6");
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

namespace {

result<std::shared_ptr<const unique_fd>> in_memory(std::string_view bytes) {
    unique_fd fd(::memfd_create("mtad-configuration", MFD_CLOEXEC));
    if (!fd)
        return fail_errno("memfd_create");
    if (auto written = write_all(fd.get(), bytes); !written)
        return tl::make_unexpected(written.error());
    return std::make_shared<const unique_fd>(std::move(fd));
}

std::string place_of(const config::service_line& line) {
    if (line.type != config::service_type::inet)
        return (line.priv ? "private/" : "public/") + line.name;
    const auto where = split_host_port(line.name);
    return where.host.empty() ? where.port : "[" + where.host + "]:" + where.port;
}

// Of several lines for one service the last counts.
void drop_duplicates(std::vector<config::service_line>& services, std::vector<std::string>& warnings) {
    for (std::size_t i = services.size(); i-- > 0;) {
        const auto same = [&](const config::service_line& other) {
            return other.name == services[i].name && other.type == services[i].type;
        };
        const auto later = services.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        if (std::find_if(later, services.end(), same) == services.end())
            continue;
        warnings.push_back("duplicate master.cf entry for service \"" + services[i].name + "\" (" +
                           place_of(services[i]) + ") -- using the last entry");
        services.erase(services.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

} // namespace

result<void> adopt_files_at_hand() {
    struct stat status {};
    if (::fstat(files_fd, &status) != 0)
        return fail_errno("the configuration handed over");
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    // The descriptor's offset is shared with others that start now.
    for (std::size_t at = 0; at < bytes.size();) {
        const auto got = ::pread(files_fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
        if (got <= 0)
            return fail_errno("the configuration handed over");
        at += static_cast<std::size_t>(got);
    }
    ::close(files_fd);
    return config::adopt_files(bytes);
}

result<configuration_at_hand> read_configuration(const std::string& config_directory, bool privileged) {
    const config::file_recording recording;
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
    drop_duplicates(*services, out.warnings);
    auto files = in_memory(recording.text());
    if (!files)
        return tl::make_unexpected(files.error());
    out.files = std::move(*files);
    out.cfg = std::move(*cfg);
    out.services = std::move(*services);
    if (auto checked = check_protocols(out.cfg); !checked)
        return tl::make_unexpected(checked.error());
    if (auto found = find_accounts(out); !found)
        return tl::make_unexpected(found.error());
    return out;
}

} // namespace mta::daemon
