#include <cstdlib>

#include <unistd.h>

#include <mta/net/socket_address.hpp>

namespace mta::net {

namespace {

bool is_mapped(const std::uint8_t* bytes) {
    static constexpr std::uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes, prefix, sizeof prefix) == 0;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
    if (text.empty() || text.size() > 5)
        return false;
    unsigned value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 65535)
        return false;
    port = static_cast<std::uint16_t>(value);
    return true;
}

} // namespace

ip_address ip_address::v4(const void* bytes) {
    ip_address made;
    std::memcpy(made.bytes_.data(), bytes, 4);
    return made;
}

ip_address ip_address::v6(const void* bytes) {
    ip_address made;
    std::memcpy(made.bytes_.data(), bytes, 16);
    made.v6_ = true;
    return made;
}

std::optional<ip_address> ip_address::parse(std::string_view text) {
    if (text.size() > 5 && (text[0] == 'I' || text[0] == 'i') && ::strncasecmp(text.data(), "ipv6:", 5) == 0) {
        text.remove_prefix(5);
        if (text.find(':') == std::string_view::npos)
            return std::nullopt;
    }
    if (text.empty() || text.size() >= INET6_ADDRSTRLEN)
        return std::nullopt;
    char copy[INET6_ADDRSTRLEN];
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
    if (std::strlen(copy) != text.size())
        return std::nullopt;
    std::uint8_t raw[16];
    if (::inet_pton(AF_INET, copy, raw) == 1)
        return v4(raw);
    if (::inet_pton(AF_INET6, copy, raw) == 1)
        return v6(raw);
    return std::nullopt;
}

std::string ip_address::text() const {
    char out[INET6_ADDRSTRLEN];
    if (::inet_ntop(v6_ ? AF_INET6 : AF_INET, bytes_.data(), out, sizeof out) == nullptr)
        return {};
    return out;
}

socket_address::socket_address(const ip_address& address, std::uint16_t port) {
    if (address.is_v6()) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port);
        std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
        std::memcpy(&storage_, &in, sizeof in);
        size_ = sizeof in;
    } else {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        std::memcpy(&in.sin_addr, address.bytes().data(), 4);
        std::memcpy(&storage_, &in, sizeof in);
        size_ = sizeof in;
    }
}

result<socket_address> socket_address::local(std::string_view path) {
    sockaddr_un un{};
    if (path.size() >= sizeof un.sun_path)
        return fail(errc::too_large, "socket path too long: " + std::string(path));
    if (path.empty() || path.find('\0') != std::string_view::npos)
        return fail(errc::malformed, "bad socket path");
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.data(), path.size());
    socket_address made;
    std::memcpy(&made.storage_, &un, sizeof un);
    made.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return made;
}

result<socket_address> socket_address::parse(std::string_view text, std::uint16_t default_port) {
    std::string_view host = text;
    std::uint16_t port = default_port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos)
            return fail(errc::malformed, "missing \"]\" in address: " + std::string(text));
        host = text.substr(1, end - 1);
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && (rest[0] != ':' || !parse_port(rest.substr(1), port)))
            return fail(errc::malformed, "bad port in address: " + std::string(text));
    } else if (const auto colon = text.find(':');
               colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
        host = text.substr(0, colon);
        if (!parse_port(text.substr(colon + 1), port))
            return fail(errc::malformed, "bad port in address: " + std::string(text));
    }
    const auto address = ip_address::parse(host);
    if (!address)
        return fail(errc::malformed, "bad IP address: " + std::string(text));
    return socket_address(*address, port);
}

result<socket_address> socket_address::peer_of(int fd) {
    socket_address made;
    socklen_t size = capacity;
    if (::getpeername(fd, made.data(), &size) != 0)
        return fail_errno("getpeername");
    made.size_ = size;
    return made;
}

result<socket_address> socket_address::local_of(int fd) {
    socket_address made;
    socklen_t size = capacity;
    if (::getsockname(fd, made.data(), &size) != 0)
        return fail_errno("getsockname");
    made.size_ = size;
    return made;
}

std::optional<ip_address> socket_address::address() const {
    if (family() == AF_INET) {
        sockaddr_in in;
        std::memcpy(&in, &storage_, sizeof in);
        return ip_address::v4(&in.sin_addr);
    }
    if (family() == AF_INET6) {
        sockaddr_in6 in;
        std::memcpy(&in, &storage_, sizeof in);
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(&in.sin6_addr);
        return is_mapped(bytes) ? ip_address::v4(bytes + 12) : ip_address::v6(bytes);
    }
    return std::nullopt;
}

std::uint16_t socket_address::port() const {
    if (family() == AF_INET)
        return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
    if (family() == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
    return 0;
}

std::string socket_address::host() const {
    if (const auto ip = address())
        return ip->text();
    if (family() != AF_UNIX || size_ <= offsetof(sockaddr_un, sun_path))
        return {};
    sockaddr_un un;
    std::memcpy(&un, &storage_, sizeof un);
    return std::string(un.sun_path, ::strnlen(un.sun_path, sizeof un.sun_path));
}

std::string socket_address::text() const {
    const auto ip = address();
    if (!ip)
        return host();
    return (ip->is_v6() ? "[" + ip->text() + "]:" : ip->text() + ":") + std::to_string(port());
}

} // namespace mta::net
