// Owns one file descriptor.
//
// A write error can surface as late as close(): whoever wrote data calls close() and looks at the result;
// the destructor ignores it.
#pragma once

#include <unistd.h>

#include <utility>

#include <mta/core/result.hpp>

namespace mta {

class unique_fd {
public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    void reset() noexcept {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }

    // Closes and reports; the descriptor is gone in either case.
    [[nodiscard]] result<void> close() {
        if (fd_ >= 0 && ::close(std::exchange(fd_, -1)) != 0)
            return fail_errno("close");
        return {};
    }

private:
    int fd_ = -1;
};

} // namespace mta
