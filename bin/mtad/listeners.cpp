#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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

// inet_protocols; a kernel without IPv6 is no error: "all" means what there is.
struct families {
    bool v4 = false;
    bool v6 = false;

    explicit families(const config::configuration& cfg) {
        const auto text = cfg.text("inet_protocols"); // the words point into it
        const auto words = split(text, ", \t\r\n");
        v4 = v6 = words.empty();
        for (const auto& word : words) {
            v4 = v4 || iequals(word, "all") || iequals(word, "ipv4");
            v6 = v6 || iequals(word, "all") || iequals(word, "ipv6");
        }
        v6 = v6 && unique_fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }
    [[nodiscard]] int hint() const { return v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6; }
};

// inet_interfaces as a list of hosts for getaddrinfo(3).
std::vector<std::string> interface_hosts(const config::configuration& cfg, const families& spoken) {
    std::vector<std::string> hosts;
    for (const auto value = cfg.text("inet_interfaces"); const auto word : split(value, ", \t\r\n")) {
        if (iequals(word, "all") || iequals(word, "loopback-only")) {
            const bool all = iequals(word, "all");
            if (spoken.v4)
                hosts.emplace_back(all ? "0.0.0.0" : "127.0.0.1");
            if (spoken.v6)
                hosts.emplace_back(all ? "::" : "::1");
        } else if (word.front() == '[' && word.back() == ']') {
            hosts.emplace_back(word.substr(1, word.size() - 2));
        } else {
            hosts.emplace_back(word);
        }
    }
    return hosts;
}

// "127.0.0.1:25", "[::1]:25".
std::string text_of(const addrinfo& address) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(address.ai_addr, address.ai_addrlen, host.data(), host.size(), port.data(), port.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return {};
    const std::string name(host.data());
    return (address.ai_family == AF_INET6 ? "[" + name + "]" : name) + ":" + port.data();
}

// getaddrinfo takes any number, and gives what 16 bits hold of it.
bool is_port(std::string_view port) {
    if (port.empty())
        return false;
    if (port.find_first_not_of("0123456789") != std::string_view::npos)
        return true; // a service's name
    const auto number = parse_integer(port);
    return number && *number > 0 && *number < 65536;
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

// What is open is known by its address, however a file spells it.
result<void> listener_set::open_inet(const std::string& host, const std::string& port, int family,
                                     std::chrono::seconds patience, std::vector<int>& out) {
    const std::string shown = (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
    if (!is_port(port))
        return fail(errc::malformed, "bad port: " + shown);
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* raw = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &raw); code != 0)
        return fail(errc::malformed, "host or service " + shown + " not found: " + ::gai_strerror(code));
    const addrinfo_list list(raw);
    for (const auto* one = list.get(); one != nullptr; one = one->ai_next) {
        auto fd = open_address(*one, text_of(*one), patience);
        if (!fd)
            return tl::make_unexpected(fd.error());
        if (std::ranges::find(out, *fd) == out.end())
            out.push_back(*fd);
    }
    return {};
}

result<int> listener_set::open_address(const addrinfo& address, const std::string& shown, std::chrono::seconds patience) {
    auto& slot = open_["inet " + shown];
    slot.used = true;
    if (slot.fd)
        return slot.fd.get();
    const auto give_up = std::chrono::steady_clock::now() + patience;
    for (;;) {
        auto fd = listen_once(address, shown);
        if (fd) {
            slot.fd = std::move(*fd);
            return slot.fd.get();
        }
        if (fd.error().code != std::errc::address_in_use)
            return tl::make_unexpected(fd.error());
        if (std::chrono::steady_clock::now() > give_up) {
            const auto why = has_port_of(shown) ? " (a socket of this mail system is in the way: stop and start it)" : "";
            return fail(fd.error().code, fd.error().detail + why);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

// Whether another open listener has that port, on this host's every address or on one of them.
bool listener_set::has_port_of(const std::string& shown) const {
    const auto port = shown.substr(shown.rfind(':'));
    return std::ranges::any_of(open_, [&](const auto& one) {
        return one.second.fd && one.first.starts_with("inet ") && one.first.ends_with(port);
    });
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
        const families spoken(cfg);
        const auto hosts = where.host.empty() ? interface_hosts(cfg, spoken) : std::vector<std::string>{where.host};
        if (hosts.empty())
            return fail(errc::malformed, "service " + line.name + " names no address, nor does inet_interfaces");
        for (const auto& host : hosts)
            if (auto opened = open_inet(host, where.port, spoken.hint(), patience, out); !opened)
                return tl::make_unexpected(opened.error());
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
