// What the showq service has said of each queue file, so that the next listing need not read the file again.
//
// An entry holds as long as neither the queue file nor its defer log has changed: each listing compares inode, size and
// time of change (ctime, which nobody can set) of both. A file that changed shortly before it was read is not
// remembered: another change might leave it with the same time.
//
// No I/O. Bounded: what there is no room for is read each time. May be called from several threads.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <mta/queue/listing.hpp>

namespace mta::queue {

// What tells one state of a file from another; inode 0: there is no file.
struct file_stamp {
    std::uint64_t inode = 0;
    long long changed = 0; // nanoseconds
    long long size = 0;

    bool operator==(const file_stamp&) const = default;
};
[[nodiscard]] file_stamp stamp_of(const struct stat& status) noexcept;

class listing_memory {
public:
    static constexpr std::size_t usual_limit = 32U << 20U;
    // Longer than a tick of the coarsest clock that a file system has.
    static constexpr std::chrono::milliseconds usual_settling{2500};
    explicit listing_memory(std::size_t limit = usual_limit, std::chrono::nanoseconds settling = usual_settling)
        : limit_(limit), settling_(settling.count()) {}

    struct stamps {
        file_stamp message;
        file_stamp log;

        bool operator==(const stamps&) const = default;
    };

    // A listing begins; its number.
    [[nodiscard]] unsigned long begin();
    // It has come to the end: what it did not meet is forgotten.
    void finish(unsigned long listing);

    [[nodiscard]] bool knows(directory which, std::string_view id) const;
    // Appends what showq_message gave for these two files. False: they are not known in this state.
    [[nodiscard]] bool append(std::string& out, directory which, std::string_view id, const stamps& now,
                              unsigned long listing);
    // read_at: nanoseconds since 1970, taken before the files were opened.
    void keep(directory which, const listed_message& message, const stamps& then, long long read_at,
              unsigned long listing);

    [[nodiscard]] std::size_t bytes() const;

private:
    struct entry {
        std::string text; // as sent, but a mark and a number in the place of longer reasons
        stamps state;
        unsigned long listing = 0; // the last one that met it
    };
    struct shared_reason {
        std::string text;
        std::size_t uses = 0;
    };
    using entries = std::unordered_map<std::string, entry>;

    static std::string key(directory which, std::string_view id);
    static std::size_t cost(const std::string& key, const entry& one) noexcept;
    std::string share(std::string_view reason);
    entries::iterator forget(entries::iterator at);
    template <class Visit>
    static void each_mark(std::string_view text, const Visit& visit);

    const std::size_t limit_;
    const long long settling_;
    mutable std::mutex mutex_; // of all that follows
    entries entries_;
    std::vector<shared_reason> reasons_;
    std::unordered_map<std::string, std::uint32_t> numbers_; // of the reasons
    std::vector<std::uint32_t> unused_;                      // numbers
    std::size_t bytes_ = 0;
    unsigned long listings_ = 0;
};

} // namespace mta::queue
