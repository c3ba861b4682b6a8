// Queue IDs: the name of a message, and of its file, for as long as it is queued.
//
// Short: five hex digits of microseconds, then the inode in hex. Long: seconds and microseconds in base 52, "z",
// the inode in base 51. Both name the inode, so that a name is unique while its file exists.
//
// No I/O. Safe on hostile input.
#pragma once

#include <sys/time.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace mta::queue {

enum class id_form { short_id, long_id };

[[nodiscard]] std::string make_queue_id(timeval when, ino_t inode, id_form form);

// Whether a file of a queue may have this name: letters, digits and "_", 1 to 255 of them. So neither "/" nor "."
// can pass.
[[nodiscard]] bool is_valid_queue_id(std::string_view name) noexcept;

struct queue_id_parts {
    id_form form{};
    ino_t inode = 0;
    long microseconds = 0;
    long long seconds = 0; // long form only
};

// nullopt when the name is of neither form (a file name may still be valid then).
[[nodiscard]] std::optional<queue_id_parts> parse_queue_id(std::string_view name) noexcept;

// The hash directories of a name: "A/9/" for depth 2, "" for depth 0.
[[nodiscard]] std::string hash_directories(std::string_view name, int depth);

} // namespace mta::queue
