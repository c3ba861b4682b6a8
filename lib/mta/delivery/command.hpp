// Delivers one message to a command, as the user that runs.
//
// The command is started as a session of its own, with descriptors 0 to 2 and nothing else, reads the message from its
// standard input, and what it says is kept for the log and for bounces. It is over when it has ended and nobody holds
// its output any more; whatever it started is killed when that takes longer than its limit. Exit statuses are those of
// sysexits.h.
//
// A job says everything, so that it can travel to a helper process. Nothing here decides whether a command may run, and
// nothing changes the user. Blocks until the command is over or the limit is. Safe beside other threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/delivery/mailbox.hpp>

namespace mta::delivery {

struct command_job {
    std::string line;      // as the list or the configuration has it
    std::string shell;     // local_command_shell: always asked when there is one, and given the line as last argument
    std::string directory; // where it runs
    std::vector<std::string> environment; // NAME=value, all of it
    int time_limit = 1000;                // seconds
    long long file_limit = 0;             // bytes of any file that it writes; 0 = no limit
    mailbox_job message;                  // sender, original, delivered_to, data_offset: the rest does not matter
};

// queue_file is any readable descriptor of the message; its position is not used.
[[nodiscard]] status deliver_to_command(const command_job& job, int queue_file);

// How a command ended, as waitpid() has it.
struct command_end {
    int wait_status = 0;
    bool timed_out = false;
    std::string output; // bounded; nobody has looked at it yet
};
[[nodiscard]] status command_status(const command_job& job, const command_end& how);

// Whether a command line is started without a shell: words of plain characters, divided by blanks.
[[nodiscard]] bool needs_no_shell(std::string_view line);

// How much of a command's output is kept. What comes after is refused: a command that goes on hears that nobody reads.
inline constexpr std::size_t command_output_limit = 4096;

} // namespace mta::delivery
