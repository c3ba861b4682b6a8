// postconf --explain: all that is known about a parameter, for people.
#pragma once

#include <string>
#include <string_view>

#include "names.hpp"
#include "postconf.hpp"

namespace mta::postconf {

// Where the value of a name comes from: "/etc/postfix/main.cf:12", "command line", "default", "nowhere".
[[nodiscard]] std::string origin_of(const configuration& cfg, std::string_view name);

// The known name that is most like this one; empty when none is near.
[[nodiscard]] std::string nearest_name(std::string_view name, const name_survey& seen);

// --explain NAME...
[[nodiscard]] int explain(const options& opt, config::command_log& log);

} // namespace mta::postconf
