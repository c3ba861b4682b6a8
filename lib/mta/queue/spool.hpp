// The queue directories below queue_directory: where a message's file is, how it moves, and scanning.
//
// Renaming between directories is the only way a message changes state. All paths are relative to one open
// descriptor of the root, so that a chroot or a rename above does not matter. Missing hash directories are made
// when they are needed; the queues themselves by make_directories.
//
// Blocks on disk. Const functions may be called from several threads.
#pragma once

#include <sys/stat.h>
#include <sys/time.h>

#include <array>
#include <bitset>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/queue/queue_id.hpp>

namespace mta::config {
class configuration;
}

namespace mta::queue {

enum class directory : unsigned char {
    incoming,
    active,
    deferred,
    hold,
    corrupt,
    maildrop,
    saved,
    bounce,
    defer,
    trace,
    flush,
};
inline constexpr std::size_t directory_count = 11;

[[nodiscard]] std::string_view name(directory which) noexcept;
[[nodiscard]] std::optional<directory> find_directory(std::string_view name) noexcept;

struct spool_options {
    std::string root = "/var/spool/postfix";
    std::bitset<directory_count> hashed = (1U << 2U) | (1U << 8U); // deferred and defer
    int hash_depth = 1;
    id_form ids = id_form::short_id;
};

// queue_directory, hash_queue_names, hash_queue_depth and enable_long_queue_ids. maildrop is never hashed.
[[nodiscard]] spool_options spool_options_from(const config::configuration& cfg);

class spool {
public:
    // Errors: the system's, naming the root.
    [[nodiscard]] static result<spool> open(spool_options options);

    [[nodiscard]] const spool_options& options() const noexcept { return options_; }
    [[nodiscard]] const std::string& root() const noexcept { return options_.root; }
    [[nodiscard]] int root_fd() const noexcept { return root_->get(); } // O_PATH, for the *at calls

    // "deferred/A/ABCDE…", relative to the root; id must be valid.
    [[nodiscard]] std::string relative_path(directory which, std::string_view id) const;
    // The same with the root in front, for messages and for programs that are started.
    [[nodiscard]] std::string path(directory which, std::string_view id) const;

    // openat(2) below the root with O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK added (a FIFO cannot hang us). O_NOATIME is
    // dropped where it is not allowed. Errors keep errno: ENOENT means that the message is not there. errc::bad_id.
    [[nodiscard]] result<unique_fd> open_file(directory which, std::string_view id, int flags, mode_t mode = 0) const;

    // nullopt: no such file. Does not follow symbolic links.
    [[nodiscard]] result<std::optional<struct stat>> status(directory which, std::string_view id) const;

    // One rename; missing hash directories are made on the way. ENOENT stays ENOENT.
    [[nodiscard]] result<void> move(directory from, directory to, std::string_view id) const;

    // The same for a file that a scan has found, wherever it lies: renames it to the place of id in that queue.
    [[nodiscard]] result<void> move_file(int directory_fd, const std::string& file, directory to, std::string_view id) const;

    // True when it was there.
    [[nodiscard]] result<bool> remove(directory which, std::string_view id) const;

    // Sets access and modification time: when the message is due next.
    [[nodiscard]] result<void> set_due(directory which, std::string_view id, timeval when) const;
    // deferred/: one set_due and one move.
    [[nodiscard]] result<void> defer(directory from, std::string_view id, timeval when) const;

    // The first of queues that holds id, with its status.
    struct place {
        directory where{};
        struct stat status {};
    };
    [[nodiscard]] result<std::optional<place>> find(std::string_view id, std::initializer_list<directory> queues) const;

    // Makes the queue directories that are missing: 0700, maildrop/ 0730, public/ 0710, pid/ 0755, with these owners
    // when they are given (root only).
    [[nodiscard]] result<void> make_directories(std::optional<uid_t> mail_owner = {},
                                                std::optional<gid_t> setgid_group = {}) const;

    // Makes the hash directories of one path (0700).
    [[nodiscard]] result<void> make_hash_directories(directory which, std::string_view id) const;

private:
    spool_options options_;
    std::shared_ptr<unique_fd> root_;
};

// Complete: all three owner bits. Anything else in a queue is still being written, or was abandoned.
[[nodiscard]] constexpr bool is_complete(mode_t mode) noexcept { return S_ISREG(mode) && (mode & 0700U) == 0700U; }
// A delivery agent gave up on it: exactly 0400.
[[nodiscard]] constexpr bool is_marked_corrupt(mode_t mode) noexcept { return (mode & 0777U) == 0400U; }
// postsuper -e: the next delivery attempt returns it.
[[nodiscard]] constexpr bool is_force_expired(mode_t mode) noexcept { return (mode & 0010U) != 0; }
// A flush asked that dead-destination memory be ignored once.
[[nodiscard]] constexpr bool is_unthrottled(mode_t mode) noexcept { return (mode & 0040U) != 0; }

struct scan_entry {
    std::string_view name; // any file name: check is_valid_queue_id before you trust it
    int directory_fd = -1; // the directory that holds it, for fstatat and openat
    std::string_view path; // of that directory, relative to the root: "deferred/A"
    int type = 0;          // DT_*; DT_UNKNOWN is possible
};

// Walks one queue with its hash directories in directory order, in constant memory. Files that appear or go during
// the walk may be seen or not; a directory that vanishes is skipped. So is a hash directory that cannot be read, after
// a word to skipped: one bad directory must not hold up the mail in all others.
class scanner {
public:
    using skip_report = std::function<void(const error& why)>;
    scanner(const spool& where, directory which, skip_report skipped = {});
    // Another directory, by its path from the root, of the same layout.
    scanner(const spool& where, std::string path, skip_report skipped = {});
    ~scanner();
    scanner(scanner&&) noexcept;
    scanner& operator=(scanner&&) noexcept;

    // The views last until the next call. nullopt at the end; an error when the queue's own directory cannot be read.
    [[nodiscard]] result<std::optional<scan_entry>> next();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

enum class scan_step { go_on, stop };

// The same with a callback.
[[nodiscard]] result<void> scan(const spool& where, directory which,
                                const std::function<scan_step(const scan_entry&)>& visit,
                                scanner::skip_report skipped = {});

} // namespace mta::queue
