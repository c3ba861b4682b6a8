// The address of a socket: IPv4, IPv6 or a unix path; and the bare IP address beside it.
//
// Text forms are those of the mail log: "192.0.2.1", "2001:db8::1" (no brackets, no "IPv6:"); an IPv4-mapped
// IPv6 address of a peer is told as IPv4. No name is ever looked up here; std and system headers only.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <mta/core/result.hpp>

namespace mta::net {

class ip_address {
public:
    ip_address() = default;

    // "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1"; nullopt for anything else. No brackets.
    [[nodiscard]] static std::optional<ip_address> parse(std::string_view text);
    // bytes holds 4 bytes (v4) or 16 bytes (v6) in network order.
    [[nodiscard]] static ip_address v4(const void* bytes);
    [[nodiscard]] static ip_address v6(const void* bytes);

    [[nodiscard]] bool is_v6() const noexcept { return v6_; }
    [[nodiscard]] std::string text() const;
    // 4 or 16 bytes, network order.
    [[nodiscard]] std::string_view bytes() const noexcept {
        return {reinterpret_cast<const char*>(bytes_.data()), v6_ ? std::size_t{16} : std::size_t{4}};
    }
    friend auto operator<=>(const ip_address&, const ip_address&) = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
    bool v6_ = false;
};

class socket_address {
public:
    socket_address() = default;
    socket_address(const ip_address& address, std::uint16_t port);
    // path longer than a sockaddr_un is errc::too_large.
    [[nodiscard]] static result<socket_address> local(std::string_view path);
    // "192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.1" (then default_port).
    [[nodiscard]] static result<socket_address> parse(std::string_view text, std::uint16_t default_port);
    // Of a connected socket; an unnamed unix peer gives family AF_UNIX and an empty path.
    [[nodiscard]] static result<socket_address> peer_of(int fd);
    [[nodiscard]] static result<socket_address> local_of(int fd);

    [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
    [[nodiscard]] bool is_inet() const noexcept { return family() == AF_INET || family() == AF_INET6; }
    // The IP address (an IPv4-mapped IPv6 address comes as IPv4); nullopt for a unix socket.
    [[nodiscard]] std::optional<ip_address> address() const;
    // 0 for a unix socket.
    [[nodiscard]] std::uint16_t port() const;
    // The address without port, or the unix path.
    [[nodiscard]] std::string host() const;
    // "192.0.2.1:25", "[2001:db8::1]:25", or the unix path.
    [[nodiscard]] std::string text() const;

    [[nodiscard]] const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
    [[nodiscard]] sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
    [[nodiscard]] socklen_t size() const noexcept { return size_; }
    void resize(socklen_t size) noexcept { size_ = size; }
    static constexpr socklen_t capacity = sizeof(sockaddr_storage);

private:
    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

} // namespace mta::net
