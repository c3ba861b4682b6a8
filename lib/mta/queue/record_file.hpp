// A window over a queue file that hands out its records one by one, wherever pointers lead.
//
// One pread fills up to 64 KiB (the first 16), so a small message costs a single read however it is walked. Pointers with a
// target are followed (when asked) and counted against the size of the file: a circle is found, not walked for ever.
// A record's data last until the next call. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/queue/record.hpp>

namespace mta::queue {

struct file_record {
    record_type type{};
    std::string_view data;
    long long offset = 0; // of its type byte
};

enum class pointers { follow, hand_out };

class record_file {
public:
    // Borrows fd, which must be a readable, seekable file of size bytes.
    record_file(int fd, long long size, pointers mode = pointers::follow) : fd_(fd), size_(size), mode_(mode) {}

    // The next record; nullopt at the physical end. Padding and pointers are skipped when pointers are followed.
    // Errors: truncated_record, bad_length, record_too_long, bad_pointer, pointer_loop, the system's.
    [[nodiscard]] result<std::optional<file_record>> next();

    // Goes on at offset, which must lie in the file. Forgets the loop guard's count.
    void seek(long long offset) noexcept {
        at_ = offset;
        walked_ = 0;
    }
    // The same for a caller who follows a pointer itself: the loop guard goes on counting.
    void jump(long long offset) noexcept { at_ = offset; }
    [[nodiscard]] long long offset() const noexcept { return at_; }
    [[nodiscard]] long long size() const noexcept { return size_; }
    // The file has grown (a reader of a file being written); the window is dropped.
    void resize(long long size) noexcept {
        size_ = size;
        start_ = 0;
        filled_ = 0;
    }

private:
    [[nodiscard]] result<void> load(long long offset, std::size_t need);
    // What the window holds from the current offset on: at least need bytes, or the rest of the file.
    [[nodiscard]] result<std::string_view> bytes(std::size_t need);

    int fd_;
    long long size_;
    pointers mode_;
    long long at_ = 0;
    long long walked_ = 0;
    long long start_ = 0; // file offset of window_
    std::size_t filled_ = 0;
    std::size_t capacity_ = 0;
    std::unique_ptr<char[]> window_;
};

// "p": the offset, 0 for "nothing here yet". Errors: bad_pointer.
[[nodiscard]] result<long long> parse_pointer(std::string_view data);
[[nodiscard]] std::string format_pointer(long long offset);

} // namespace mta::queue
