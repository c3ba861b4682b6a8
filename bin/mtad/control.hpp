// What the supervisor and its workers say to each other on the control socket (SOCK_SEQPACKET).
//
// Each message is one attribute list whose "type" names it; descriptors travel beside it.
//   to a worker:   identity slot privileged      first
//                  endpoint service service_type program process_limit wakeup override:NAME…   + listeners
//                  peer role                     + one end of a stream pair; again when the peer was replaced
//                  spawner                       + its socket
//                  start                         all of the above was said: open tables, drop, serve
//                  stop                          serve nobody new; finish within stop_limit
//                  drain                         likewise, but running sessions may end in their own time
//   to the supervisor: ready                     serving
//                  successor reason              please start another in my place
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace mta::daemon {

inline constexpr int control_fd = 3;

// The files of the configuration as the supervisor has read them (config/file_snapshot.hpp).
inline constexpr int files_fd = 4;

// A delivery that has sent the final dot gets this long for the reply when mtad stops.
inline constexpr std::chrono::seconds stop_limit{4};

// How many workers may live at once, old ones that finish their sessions included: a worker's slot is part of
// every number in its log tags.
inline constexpr unsigned long slot_count = 64;

} // namespace mta::daemon
