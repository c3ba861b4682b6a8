// What postsuper does to one message: delete, hold, release, requeue, expire.
//
// Each is one rename, chmod or unlink (deletion: one for each log too), so that a running mail system sees
// the message before or after it, never between. A message that went away meanwhile is no error. Counts what
// was done.
#pragma once

#include <sys/stat.h>

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::postsuper {

// The directories that hold a file of the message's name.
inline constexpr std::array<queue::directory, 3> message_logs = {queue::directory::bounce, queue::directory::defer,
                                                                 queue::directory::trace};

// A file found in a queue: by its ID (then directory_fd is that of the spool and path leads from there), or
// by a scan.
struct found_file {
    queue::directory where{};
    int directory_fd = -1;
    std::string path; // from directory_fd
    std::string id;
    struct stat status {};
};

struct counts {
    unsigned long requeued = 0;
    unsigned long deleted = 0;
    unsigned long expired = 0;
    unsigned long held = 0;
    unsigned long released = 0;
};

class actions {
public:
    explicit actions(const queue::spool& spool) : spool_(spool) {}

    // True: done, and counted. False: there was nothing to do. Errors: the system's.
    [[nodiscard]] result<bool> remove(const found_file& file);
    // Every file of a queue, or of a directory of logs, on several threads. removed is told of each that counts, by one
    // thread at a time; skipped of hash directories that cannot be read.
    [[nodiscard]] result<void> remove_all(queue::directory which, const std::function<bool()>& interrupted,
                                          const std::function<void(const found_file&)>& removed,
                                          const queue::scanner::skip_report& skipped);
    [[nodiscard]] result<bool> hold(const found_file& file);
    [[nodiscard]] result<bool> release(const found_file& file);
    // time_stamps: set them to now, so that pickup takes the message for one that has just arrived.
    enum class time_stamps { keep, reset };
    [[nodiscard]] result<bool> requeue(const found_file& file, time_stamps times);
    [[nodiscard]] result<bool> expire(const found_file& file);

    // Removes bounce and defer logs that belong to no message.
    [[nodiscard]] result<void> remove_lost_logs(queue::directory which);

    [[nodiscard]] const counts& tally() const noexcept { return tally_; }

private:
    // Safe on several threads.
    [[nodiscard]] result<bool> unlink_all(const found_file& file, std::span<const queue::directory> logs) const;
    [[nodiscard]] result<bool> move(const found_file& file, queue::directory to, unsigned long& counter);

    const queue::spool& spool_;
    counts tally_;
};

// "removed", "placed on hold" … for the letter of an action, as the lines about single messages have it.
[[nodiscard]] const char* done_to(char action);
// "delete", "hold" … for --json.
[[nodiscard]] const char* action_word(char action);

} // namespace mta::postsuper
