// Child processes: start one with given arguments, environment and descriptors 0 to 2, and collect its status.
//
// No shell anywhere. Descriptors beyond 2 are closed by their close-on-exec flag.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include <mta/core/result.hpp>

namespace mta {

struct child_options {
    std::vector<std::string> arguments;   // arguments[0] is the program's name as it sees it
    std::vector<std::string> environment; // NAME=value; empty inherits
    int input = 0;                        // becomes descriptor 0; likewise below
    int output = 1;
    int errors = 2;
};

// Starts path (no PATH search). The error is that of execve where the system reports it.
[[nodiscard]] result<pid_t> start_child(const std::string& path, const child_options& options);

// Waits for the child: its exit status, or 128 + signal.
[[nodiscard]] result<int> wait_child(pid_t pid);

[[nodiscard]] inline result<int> run_child(const std::string& path, const child_options& options) {
    const auto pid = start_child(path, options);
    if (!pid)
        return tl::make_unexpected(pid.error());
    return wait_child(*pid);
}

// The directory of the running executable, for finding its siblings in a build tree.
[[nodiscard]] std::string executable_directory();

} // namespace mta
