// Reads one queue file: envelope, text, and the marks made in place.
//
// Opening costs open and fstat; a small message one read more. A damaged file is named by an errc of the queue and
// never crashes or hangs the reader. Not thread-safe; blocks on disk. The destructor closes (and so unlocks).
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/lock.hpp>
#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/queue/record_file.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

// Overwrites the type byte of the recipient at offset with "D". Marking twice is harmless.
// Errors: not_a_recipient (nothing was changed), the system's.
[[nodiscard]] result<void> mark_done(int fd, long long offset);

// Whether the recipient at offset is marked. Costs a read: for requests that have waited, while somebody else may have
// served it.
[[nodiscard]] bool is_done(int fd, long long offset);

// Overwrites the type byte of an attribute at offset with "K": trace_flags after the first attempt.
[[nodiscard]] result<void> kill_record(int fd, long long offset);

// Rewrites the "W" record at offset: when the next delay warning is due.
[[nodiscard]] result<void> set_warn_time(int fd, long long offset, long long when);

enum class access { read_only, read_write };

class queue_file {
public:
    // ENOENT: no such message. errc::not_regular, errc::bad_id. Completeness is the caller's question (status()).
    [[nodiscard]] static result<queue_file> open(const spool& where, directory which, std::string_view id,
                                                 access mode = access::read_write);
    // The same for a file that is open already.
    [[nodiscard]] static result<queue_file> adopt(unique_fd fd);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const struct stat& status() const noexcept { return status_; }

    // Takes the lock without waiting; false when another holds it. Deliveries take it shared, the queue manager
    // exclusive before it activates a message.
    [[nodiscard]] result<bool> try_lock(lock_mode mode) { return mta::try_lock(fd_.get(), mode); }

    // Reads the first and the last segment and checks that the END record is there. With recipient_limit, stops
    // storing recipients at the limit (more_recipients); everything is still checked.
    // Errors: any damage of errc, the system's.
    [[nodiscard]] result<envelope> read_envelope(const envelope_options& options = {});

    // The same, leaving in into what was read before an error (for listings of damaged files).
    [[nodiscard]] result<void> read_envelope(envelope& into, const envelope_options& options = {});

    // Sets the text to its first line. data_offset as in the size record or in a delivery request; without it the
    // envelope is walked to find the text.
    [[nodiscard]] result<void> start_content(std::optional<long long> data_offset = {});

    // The next record of the text: true with a line (or a piece of one: unterminated, the rest follows in the next
    // record), false at the end of the text. line lasts until the next call.
    [[nodiscard]] result<bool> next_line(std::string_view& line, bool& unterminated) {
        if (!content_)
            if (auto started = start_content(); !started)
                return tl::make_unexpected(started.error());
        auto read = records_->next();
        if (!read)
            return tl::make_unexpected(read.error());
        if (!*read)
            return fail(errc::missing_end, "the file ends inside the message text");
        unterminated = (*read)->type == record_type::unterminated;
        if (!unterminated && (*read)->type != record_type::text)
            return end_of_content(**read);
        line = (*read)->data;
        return true;
    }

    [[nodiscard]] result<void> mark_done(long long offset) { return queue::mark_done(fd_.get(), offset); }

private:
    queue_file(unique_fd fd, const struct stat& status)
        : fd_(std::move(fd)), status_(status), records_(std::make_unique<record_file>(fd_.get(), status.st_size)) {}
    void skip_content(const envelope& read);
    [[nodiscard]] result<bool> end_of_content(const file_record& last);

    unique_fd fd_;
    struct stat status_ {};
    std::unique_ptr<record_file> records_; // on the heap, so that views survive a move
    bool content_ = false;
};

} // namespace mta::queue
