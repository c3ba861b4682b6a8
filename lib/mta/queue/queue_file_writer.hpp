// Writes one new queue file: created under a temporary name, renamed to its queue ID, filled once, marked, flushed.
//
//     auto writer = queue_file_writer::create(spool, directory::incoming);
//     writer->put_size_placeholder(); writer->put(record_type::time, …); … ;
//     writer->set_size({…}); writer->commit_mark(); writer->sync();
//
// A small message costs open, fstat, rename, one write, fchmod, fsync, close. Until keep or sync has succeeded the
// destructor removes the file. put() never fails: the first write error is kept and returned by the next call that
// can fail, and failed() tells. One thread at a time; sync() may run on another thread.
#pragma once

#include <sys/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/queue/record.hpp>
#include <mta/queue/size_record.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

class queue_file_writer {
public:
    // The file exists afterwards as which/ID, mode 0600 (maildrop/: 0644). where must outlive the writer.
    [[nodiscard]] static result<queue_file_writer> create(const spool& where, directory which,
                                                          std::optional<mode_t> mode = {});

    queue_file_writer(queue_file_writer&& other) noexcept;
    queue_file_writer& operator=(queue_file_writer&& other) noexcept;
    ~queue_file_writer();

    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] timeval created() const noexcept { return created_; } // for the "T" record
    [[nodiscard]] directory where() const noexcept { return which_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    // Offset of the next record.
    [[nodiscard]] long long tell() const noexcept { return flushed_ + static_cast<long long>(buffer_.size()); }

    void put(record_type type, std::string_view data) {
        append_record(buffer_, type, data);
        if (buffer_.size() >= flush_at)
            flush();
    }
    void put_attribute(std::string_view name, std::string_view value) {
        append_attribute(buffer_, name, value);
        if (buffer_.size() >= flush_at)
            flush();
    }
    void put_time(timeval when); // "T"
    void put_size_placeholder() { put(record_type::size, format_size_record({})); } // first of all
    // A line of text in records of at most limit bytes: "L" pieces, then "N" unless the line is unterminated.
    void put_line(std::string_view line, bool unterminated, std::size_t limit);

    // Rewrites the size record: in the buffer when nothing was written yet, else in the file.
    [[nodiscard]] result<void> set_size(const size_record& fields);

    // Whether a write failed already, so that a session can stop early. errno ENOSPC, EFBIG, EDQUOT …
    [[nodiscard]] const std::optional<error>& failed() const noexcept { return failed_; }

    // END record, everything written, mode 0700 added. Nothing is flushed to disk. The queue manager may pick the
    // file up from now on.
    [[nodiscard]] result<void> commit_mark();

    // fsync and close: the message is ours after this. Requires commit_mark. Final: after an error the file goes.
    [[nodiscard]] result<void> sync();

    // Closes without a flush and leaves the file.
    [[nodiscard]] result<void> keep();

    // Removes the file now.
    void discard() noexcept;

private:
    static constexpr std::size_t flush_at = 64U << 10U;
    queue_file_writer(const spool& where, directory which) noexcept : spool_(&where), which_(which) {}
    void flush() noexcept;

    const spool* spool_;
    directory which_;
    std::string id_;
    timeval created_{};
    mode_t mode_ = 0600;
    unique_fd fd_;
    std::string buffer_;
    long long flushed_ = 0;
    std::optional<error> failed_;
    bool remove_ = false; // the destructor's duty
};

} // namespace mta::queue
