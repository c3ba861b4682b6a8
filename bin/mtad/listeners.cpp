#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>

#include "listeners.hpp"

namespace mta::daemon {
namespace {

struct addrinfo_deleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using addrinfo_list = std::unique_ptr<addrinfo, addrinfo_deleter>;

constexpr int backlog = 1024;

result<unique_fd> listen_once(const addrinfo& address, const std::string& shown) {
    unique_fd fd(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return fail_errno("create socket for " + shown);
    const int on = 1;
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ai_family == AF_INET6)
        (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0)
        return fail_errno("bind " + shown);
    if (::listen(fd.get(), backlog) != 0)
        return fail_errno("listen " + shown);
    return fd;
}

// inet_interfaces and inet_protocols as a list of hosts for getaddrinfo(3).
std::vector<std::string> interface_hosts(const config::configuration& cfg) {
    const auto protocols_text = cfg.text("inet_protocols"); // the words point into it
    const auto protocols = split(protocols_text, ", \t\r\n");
    bool v4 = protocols.empty();
    bool v6 = protocols.empty();
    for (const auto& protocol : protocols) {
        v4 = v4 || iequals(protocol, "all") || iequals(protocol, "ipv4");
        v6 = v6 || iequals(protocol, "all") || iequals(protocol, "ipv6");
    }
    // A kernel without IPv6 is no error: "all" means what there is.
    if (v6 && !unique_fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)))
        v6 = false;
    std::vector<std::string> hosts;
    for (const auto value = cfg.text("inet_interfaces"); const auto word : split(value, ", \t\r\n")) {
        if (iequals(word, "all") || iequals(word, "loopback-only")) {
            const bool all = iequals(word, "all");
            if (v4)
                hosts.emplace_back(all ? "0.0.0.0" : "127.0.0.1");
            if (v6)
                hosts.emplace_back(all ? "::" : "::1");
        } else {
            hosts.emplace_back(word);
        }
    }
    return hosts;
}

} // namespace

host_port split_host_port(std::string_view name) {
    if (name.starts_with('[')) {
        const auto close = name.find("]:");
        if (close != std::string_view::npos)
            return {std::string(name.substr(1, close - 1)), std::string(name.substr(close + 2))};
    }
    const auto colon = name.rfind(':');
    if (colon == std::string_view::npos)
        return {{}, std::string(name)};
    return {std::string(name.substr(0, colon)), std::string(name.substr(colon + 1))};
}

result<int> listener_set::open_inet(const std::string& host, const std::string& port, std::chrono::seconds patience) {
    const std::string shown = (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
    auto& slot = open_["inet " + shown];
    slot.used = true;
    if (slot.fd)
        return slot.fd.get();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* raw = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &raw); code != 0)
        return fail(errc::malformed, "host or service " + shown + " not found: " + ::gai_strerror(code));
    const addrinfo_list list(raw);
    const auto give_up = std::chrono::steady_clock::now() + patience;
    for (;;) {
        auto fd = listen_once(*list, shown);
        if (fd) {
            slot.fd = std::move(*fd);
            return slot.fd.get();
        }
        if (fd.error().code != std::errc::address_in_use || std::chrono::steady_clock::now() > give_up)
            return tl::make_unexpected(fd.error());
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

result<int> listener_set::open_unix(const std::string& path, unsigned mode) {
    auto& slot = open_["unix " + path];
    slot.used = true;
    if (slot.fd)
        return slot.fd.get();
    auto fd = listen_local(path, mode);
    if (!fd)
        return tl::make_unexpected(fd.error());
    slot.fd = std::move(*fd);
    return slot.fd.get();
}

result<std::vector<int>> listener_set::open(const config::configuration& cfg, const config::service_line& line,
                                            const user& owner, bool privileged, std::chrono::seconds patience) {
    std::vector<int> out;
    if (line.type == config::service_type::inet) {
        const auto where = split_host_port(line.name);
        const auto hosts = where.host.empty() ? interface_hosts(cfg) : std::vector<std::string>{where.host};
        for (const auto& host : hosts) {
            auto fd = open_inet(host, where.port, patience);
            if (!fd)
                return tl::make_unexpected(fd.error());
            out.push_back(*fd);
        }
        return out;
    }
    const std::string path = (line.priv ? "private/" : "public/") + line.name;
    auto fd = open_unix(path, 0666);
    if (!fd)
        return tl::make_unexpected(fd.error());
    if (privileged && ::chown(path.c_str(), owner.uid, static_cast<gid_t>(-1)) != 0)
        return fail_errno("set owner of " + path);
    out.push_back(*fd);
    return out;
}

void listener_set::mark() {
    for (auto& [name, one] : open_)
        one.used = false;
}

void listener_set::sweep() {
    std::erase_if(open_, [](const auto& one) { return !one.second.used; });
}

} // namespace mta::daemon
