// What the supervisor has read from main.cf and master.cf, checked before anything is changed by it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/config/master.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/core/users.hpp>

namespace mta::daemon {

// What a worker is started with; the supervisor's, and read at every start.
struct configuration_at_hand {
    config::configuration cfg = config::configuration::defaults({});
    std::vector<config::service_line> services;
    user owner;           // mail_owner; the caller when not privileged
    gid_t drop_group = 0; // setgid_group, when privileged
    bool privileged = false;
    std::shared_ptr<const unique_fd> files; // what was read, for files_fd of other processes
    std::vector<std::string> warnings;
};

// Reads both files of config_directory. An error for what no worker could start with: syntax, values of main.cf and of
// -o settings, programs that nobody knows, accounts that do not exist. The file, and the line of master.cf, are named.
[[nodiscard]] result<configuration_at_hand> read_configuration(const std::string& config_directory, bool privileged);

// In a process that the supervisor started, before it loads its configuration: the files are as the supervisor has read
// them, whatever has become of them since.
[[nodiscard]] result<void> adopt_files_at_hand();

// An error that names a line of master.cf.
[[nodiscard]] failure in_master_cf(const config::configuration& cfg, const config::service_line& line, std::string text);

// The values that hold for one line of master.cf: main.cf's, with the line's service_name and -o settings.
[[nodiscard]] config::configuration with_settings(const config::configuration& cfg, const std::string& service,
                                                  const config::overrides& settings);

} // namespace mta::daemon
