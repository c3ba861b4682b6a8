// Whole-file helpers: read, write all, replace without ever showing half a file, make a name durable.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>

namespace mta {

// open(2) with O_CLOEXEC added; EINTR is retried. The error names the path.
[[nodiscard]] result<unique_fd> open_file(const std::string& path, int flags, mode_t mode = 0);

// The whole content; over limit bytes is errc::too_large.
[[nodiscard]] result<std::string> read_file(const std::string& path, std::size_t limit = 64U << 20U);

// Writes every byte, continuing after short writes and EINTR.
[[nodiscard]] result<void> write_all(int fd, std::string_view bytes);

// Makes names created, renamed or removed in the directory durable.
[[nodiscard]] result<void> sync_directory(const std::string& path);

struct file_owner {
    uid_t uid = static_cast<uid_t>(-1); // -1 leaves it as created
    gid_t gid = static_cast<gid_t>(-1);
};

// Replaces path by a file with these bytes: a temporary beside it, flushed, given owner and mode, renamed, and the
// directory flushed. Readers see the old or the new file, never a mix. On error the old file stands.
[[nodiscard]] result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode,
                                        file_owner owner = {});

// The directory part of a path ("." when it has none).
[[nodiscard]] std::string parent_directory(std::string_view path);

} // namespace mta
