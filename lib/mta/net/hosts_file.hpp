// The host's own table of names, /etc/hosts (hosts(5)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include <mta/net/socket_address.hpp>

namespace mta::net {

// Read again when the file has changed, which is looked at once a second at most. A file that went away (a chroot) or has
// grown beyond 16 MiB leaves what was read before. Not thread-safe.
class hosts_file {
public:
    hosts_file() = default; // of nobody
    explicit hosts_file(std::string path) : path_(std::move(path)) { refresh(); }

    // nullptr for a name or an address that is not there. Good until the next call.
    [[nodiscard]] const std::vector<ip_address>* addresses_of(const std::string& name);
    [[nodiscard]] const std::vector<std::string>* names_of(const ip_address& address);

private:
    void refresh();
    void take(std::string_view line);

    std::string path_;
    std::map<std::string, std::vector<ip_address>> by_name_; // lower case
    std::map<ip_address, std::vector<std::string>> by_address_;
    std::chrono::steady_clock::time_point looked_{};
    timespec changed_{};
    off_t size_ = -1;
};

} // namespace mta::net
