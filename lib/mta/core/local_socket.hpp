// Blocking Unix stream sockets with a deadline, for commands; the daemon uses net/.
//
// Messages with descriptors use the same calls (SCM_RIGHTS); a received descriptor is close-on-exec.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>

namespace mta {

// Connects to the stream socket at path. A missing socket and a refused connection keep their errno.
[[nodiscard]] result<unique_fd> connect_local(const std::string& path, std::chrono::milliseconds limit);

// A bound and listening stream socket; a stale one at path is replaced. mode is set on the name.
[[nodiscard]] result<unique_fd> listen_local(const std::string& path, unsigned mode, int backlog = 128);

// Sends every byte; limit bounds each wait. Never raises SIGPIPE.
[[nodiscard]] result<void> send_all(int fd, std::string_view bytes, std::chrono::milliseconds limit);

// Reads some bytes, 0 at the end of the stream.
[[nodiscard]] result<std::size_t> receive_some(int fd, char* into, std::size_t room, std::chrono::milliseconds limit);

// Waits until fd is readable; errc::timeout otherwise. A negative limit waits forever.
[[nodiscard]] result<void> wait_readable(int fd, std::chrono::milliseconds limit);

// The longest message with descriptors: both ends refuse more, so that nothing is ever cut.
inline constexpr std::size_t max_message_bytes = 65536;
inline constexpr std::size_t max_message_fds = 64;

// One datagram or stream write with descriptors attached. Blocks when the peer is slow. errc::too_large, with nothing
// sent, over the limits above.
[[nodiscard]] result<void> send_with_fds(int fd, std::string_view bytes, std::span<const int> fds);

struct message_with_fds {
    std::string bytes; // empty at the end of the stream
    std::vector<unique_fd> fds;
};

// One message; errc::truncated when more was sent than the limits allow, or than this process may have open.
[[nodiscard]] result<message_with_fds> receive_with_fds(int fd);

// Both ends of a Unix socket pair; type is SOCK_STREAM or SOCK_SEQPACKET.
[[nodiscard]] result<std::pair<unique_fd, unique_fd>> socket_pair(int type);

} // namespace mta
