// One change of a configuration file that others may read or change at the same time.
//
//     auto file = config::file_edit::begin("/etc/postfix/main.cf");
//     if (file) done = file->commit(changed(file->text()));
//
// Whoever changes the file holds a lock on FILE.tmp meanwhile, as the reference's postconf does, so that two changes
// at a time follow one another. The new text is complete and flushed under that name before it takes the file's place,
// with the file's mode and owner. A change that changes nothing leaves the file as it is. A name that is a symbolic link
// stays one: the file that it leads to is changed.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>

namespace mta::config {

class file_edit {
public:
    // Waits for the lock, then reads the file, which must exist.
    [[nodiscard]] static result<file_edit> begin(const std::string& path);

    file_edit(file_edit&& other) noexcept
        : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), text_(std::move(other.text_)),
          lock_(std::move(other.lock_)), mode_(other.mode_), uid_(other.uid_), gid_(other.gid_) {}
    file_edit& operator=(file_edit&&) = delete;
    ~file_edit(); // gives up what was not committed

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    // Replaces the file; on error the old one stands. Nothing may be asked of this object afterwards.
    [[nodiscard]] result<void> commit(std::string_view bytes);

private:
    file_edit() = default;
    [[nodiscard]] result<void> take_lock();
    [[nodiscard]] result<void> read();

    std::string path_;
    std::string temporary_; // empty when there is nothing to remove
    std::string text_;
    unique_fd lock_;
    mode_t mode_ = 0;
    uid_t uid_ = 0;
    gid_t gid_ = 0;
};

} // namespace mta::config
