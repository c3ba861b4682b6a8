// A delivery helper: becomes the one user it was started for, and then writes that user's mailboxes and reads that
// user's files until its socket ends.
//
// It drops root before it reads anything from anybody, and gains nothing after that.
#pragma once

namespace mta::daemon {

// The user comes in the environment, from the spawner alone: "UID GID".
inline constexpr char helper_user_variable[] = "MTAD_HELPER_USER";

// fd is a SOCK_SEQPACKET socket (delivery/helper_protocol.hpp). Returns the exit status.
[[nodiscard]] int run_delivery_helper(int fd);

} // namespace mta::daemon
