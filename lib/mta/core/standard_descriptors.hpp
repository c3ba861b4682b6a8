// Descriptors 0, 1 and 2 before anything else is opened.
//
// A program started with one of them closed would get its queue file or a client's socket there, and then write its
// messages into it. So every program that opens files for somebody else calls this first thing in main.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace mta {

// Opens /dev/null on those that are closed. False when one stays closed: then nothing else is safe to open.
[[nodiscard]] inline bool hold_standard_descriptors() noexcept {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
        if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

} // namespace mta
