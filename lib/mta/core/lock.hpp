// Advisory locks on open files: flock(2) or fcntl(2), shared or exclusive, without waiting or with.
//
// The queue uses flock on Linux; mailboxes use what mailbox_delivery_lock lists. A lock ends with its descriptor.
#pragma once

#include <fcntl.h>
#include <sys/file.h>

#include <mta/core/result.hpp>

namespace mta {

enum class lock_style { flock, fcntl };
enum class lock_mode { shared, exclusive, none };

namespace detail {
[[nodiscard]] inline int lock_call(int fd, lock_mode mode, lock_style style, bool wait) noexcept {
    if (style == lock_style::flock) {
        const int kind = mode == lock_mode::shared ? LOCK_SH : mode == lock_mode::exclusive ? LOCK_EX : LOCK_UN;
        return ::flock(fd, kind | (wait ? 0 : LOCK_NB));
    }
    struct flock request {};
    request.l_type = static_cast<short>(mode == lock_mode::shared      ? F_RDLCK
                                        : mode == lock_mode::exclusive ? F_WRLCK
                                                                       : F_UNLCK);
    request.l_whence = SEEK_SET;
    return ::fcntl(fd, wait ? F_SETLKW : F_SETLK, &request);
}
} // namespace detail

// True when the lock was had, false when another holds it. Never waits.
[[nodiscard]] inline result<bool> try_lock(int fd, lock_mode mode, lock_style style = lock_style::flock) {
    while (detail::lock_call(fd, mode, style, false) != 0) {
        if (errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES)
            return false;
        if (errno != EINTR)
            return fail_errno("lock");
    }
    return true;
}

// Waits until the lock is had. EINTR is retried.
[[nodiscard]] inline result<void> wait_lock(int fd, lock_mode mode, lock_style style = lock_style::flock) {
    while (detail::lock_call(fd, mode, style, true) != 0)
        if (errno != EINTR)
            return fail_errno("lock");
    return {};
}

inline void unlock(int fd, lock_style style = lock_style::flock) noexcept {
    (void)detail::lock_call(fd, lock_mode::none, style, false);
}

} // namespace mta
