// The domain that completes a bare address: myorigin, or the first line of the file that it names (/etc/mailname, as
// Debian sets it).
#pragma once

#include <string>

#include <mta/config/configuration.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

namespace mta::config {

// A file that cannot be read leaves the host's own name: mail then has an origin that exists.
[[nodiscard]] inline std::string mail_origin(const configuration& cfg) {
    const std::string& value = cfg[param::myorigin];
    if (!value.starts_with('/'))
        return value;
    const auto text = read_file(value, 4096);
    const auto line = text ? trim(std::string_view(*text).substr(0, text->find('\n'))) : std::string_view();
    return line.empty() ? cfg.text("myhostname") : std::string(line);
}

} // namespace mta::config
