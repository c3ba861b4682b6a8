// Remembers which file a table was read from, to tell later that another one stands there, or that it was written to.
#pragma once

#include <sys/stat.h>

#include <string>

namespace mta::table {

class file_mark {
public:
    file_mark() = default; // of no file: never changes
    file_mark(std::string path, const struct stat& status) : path_(std::move(path)), status_(status) {}

    // Costs a stat(2).
    [[nodiscard]] bool changed() const noexcept {
        if (path_.empty())
            return false;
        struct stat now {};
        return ::stat(path_.c_str(), &now) != 0 || now.st_ino != status_.st_ino || now.st_dev != status_.st_dev ||
               now.st_mtim.tv_sec != status_.st_mtim.tv_sec || now.st_mtim.tv_nsec != status_.st_mtim.tv_nsec;
    }
    // Another file stands there, or none; what was written to it does not count.
    [[nodiscard]] bool replaced() const noexcept {
        struct stat now {};
        return !path_.empty() && (::stat(path_.c_str(), &now) != 0 || now.st_ino != status_.st_ino ||
                                  now.st_dev != status_.st_dev);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
    struct stat status_ {};
};

} // namespace mta::table
