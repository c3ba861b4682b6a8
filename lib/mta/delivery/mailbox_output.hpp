// The message as it stands in a mailbox: prepended headers, text with From_ lines quoted, counted against a limit.
//
// A part of mailbox delivery that both formats share. Writes to one descriptor; flushes and locks nothing.
#pragma once

#include <string>
#include <string_view>

#include <mta/core/file.hpp>
#include <mta/delivery/mailbox.hpp>

namespace mta::delivery {

// Buffered writing that fails with EFBIG before it goes past the limit.
class mailbox_output {
public:
    // room is how many bytes may be written; negative is no limit.
    mailbox_output(int fd, long long room) : fd_(fd), room_(room) { buffer_.reserve(capacity); }

    [[nodiscard]] result<void> put(std::string_view bytes) {
        if (room_ >= 0) {
            if (static_cast<long long>(bytes.size()) > room_)
                return fail_errno("error writing message", EFBIG);
            room_ -= static_cast<long long>(bytes.size());
        }
        if (buffer_.size() + bytes.size() > capacity)
            if (auto done = flush(); !done)
                return done;
        if (bytes.size() >= capacity)
            return write(bytes);
        buffer_ += bytes;
        return {};
    }
    [[nodiscard]] result<void> flush() {
        auto done = write(buffer_);
        buffer_.clear();
        return done;
    }

private:
    static constexpr std::size_t capacity = 65536;
    [[nodiscard]] result<void> write(std::string_view bytes) {
        auto done = write_all(fd_, bytes);
        if (!done)
            return fail(done.error().code, "error writing message");
        return done;
    }
    int fd_;
    long long room_;
    std::string buffer_;
};

// Writes headers and text; with from_lines, "From " at the start of a line becomes ">From " and an empty line ends it.
// An error about the queue file has detail "error reading message".
[[nodiscard]] result<void> write_message(const mailbox_job& job, int queue_file, mailbox_output& out, bool from_lines);

// The two formats. job.path is not empty.
[[nodiscard]] status deliver_mbox(const mailbox_job& job, int queue_file);
[[nodiscard]] status deliver_maildir(const mailbox_job& job, int queue_file);

// What becomes of a message whose mailbox could not be written: full, no space, not ours, or otherwise.
[[nodiscard]] status write_failure(const mailbox_job& job, const error& why, std::string_view prefix = {});

} // namespace mta::delivery
