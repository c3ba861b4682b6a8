// Which configuration directory a command uses: its -c (or -C) option, else MAIL_CONFIG, else the built-in default.
//
// A process that runs set-id for a caller other than root may use another directory than the built-in one only when the
// default main.cf lists it in alternate_config_directories or multi_instance_directories.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::config {

enum class caller { trusted, restricted };

// restricted when the process runs set-id for somebody other than root.
[[nodiscard]] caller who_calls() noexcept;

// The built-in default directory, as compiled.
[[nodiscard]] std::string_view default_directory() noexcept;

struct located {
    std::string directory;
    bool chosen = false; // by option or MAIL_CONFIG
};

// option is the value of -c, if given. sendmail strips "/main.cf" from its -C before, or passes it: both work.
// On refusal the error text has two lines: an "error" line and the "fatal" line; command_log::fatal prints them so.
[[nodiscard]] result<located> find_directory(std::optional<std::string_view> option, caller who = who_calls());

} // namespace mta::config
