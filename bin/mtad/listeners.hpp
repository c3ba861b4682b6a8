// The sockets of master.cf: one listener for each address of an inet service, one for a unix service.
//
// Opened by the supervisor while privileged and kept over reloads, so that no connection is refused in between.
// No names are resolved except through the host's own tables ("smtp" as a port, a host name as an address).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/config/master.hpp>
#include <mta/core/users.hpp>

struct addrinfo;

namespace mta::daemon {

class listener_set {
public:
    // Opens (or finds already open) what the service listens on. The descriptors are borrowed. An address that is
    // in use is tried again for as long as patience says.
    [[nodiscard]] result<std::vector<int>> open(const config::configuration& cfg, const config::service_line& line,
                                                const user& owner, bool privileged, std::chrono::seconds patience);

    // Closes what open() has not been asked for since mark().
    void mark();
    void sweep();

private:
    struct entry {
        unique_fd fd;
        bool used = false;
    };
    [[nodiscard]] result<void> open_inet(const std::string& host, const std::string& port, int family,
                                         std::chrono::seconds patience, std::vector<int>& out);
    [[nodiscard]] result<int> open_address(const addrinfo& address, const std::string& shown,
                                           std::chrono::seconds patience);
    [[nodiscard]] bool has_port_of(const std::string& shown) const;
    [[nodiscard]] result<int> open_unix(const std::string& path, unsigned mode);

    std::map<std::string, entry> open_;
};

// "host:port", "[::1]:port" or "port"; host is empty when none is given.
struct host_port {
    std::string host;
    std::string port;
};
[[nodiscard]] host_port split_host_port(std::string_view name);

} // namespace mta::daemon
