// The spawner: the one root process of a running mail system that starts others. It turns a request "a helper for
// uid, gid" of the deliver worker into a process, and does nothing else: no mail, no tables, no event loop, one thread.
//
// It trusts nobody's choice of user: uid 0, gid 0, mail_owner and setgid_group are refused whatever the request says.
// A helper starts with an empty environment (but TZ), descriptors 0 to 2 on /dev/null and its socket as the only other.
#pragma once

#include <string>

namespace mta::daemon {

// Serves until the socket ends; returns the exit status. config_directory says where main.cf is, "" as built.
[[nodiscard]] int run_spawner(int fd, const std::string& config_directory = {});

} // namespace mta::daemon
