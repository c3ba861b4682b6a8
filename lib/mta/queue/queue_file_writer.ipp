#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <mta/core/file.hpp>
#include <mta/queue/queue_file_writer.hpp>

namespace mta::queue {

namespace detail {

// Moves the temporary name to its ID without ever overwriting another message.
inline int rename_new(int root, const char* from, const char* to) noexcept {
    if (::renameat2(root, from, root, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    // A file system without it: look first. The inode in the name makes a clash all but impossible.
    if (::faccessat(root, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return ::renameat(root, from, root, to) == 0 ? 0 : errno;
}

inline void tick(timeval& when) noexcept {
    if (++when.tv_usec >= 1000000) {
        when.tv_usec = 0;
        ++when.tv_sec;
    }
}

} // namespace detail

result<queue_file_writer> queue_file_writer::create(const spool& where, directory which, std::optional<mode_t> mode) {
    queue_file_writer writer(where, which);
    writer.mode_ = mode.value_or(which == directory::maildrop ? 0644 : 0600);
    ::gettimeofday(&writer.created_, nullptr);
    std::array<char, 64> temporary{};
    const auto folder = name(which);
    for (int attempt = 0; !writer.fd_; ++attempt) {
        std::snprintf(temporary.data(), temporary.size(), "%.*s/%ld.%d", static_cast<int>(folder.size()),
                      folder.data(), static_cast<long>(writer.created_.tv_usec), static_cast<int>(::getpid()));
        writer.fd_ = unique_fd(::openat(where.root_fd(), temporary.data(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                                        writer.mode_));
        if (writer.fd_)
            break;
        if ((errno != EEXIST && errno != EINTR) || attempt > 1000)
            return fail_errno(std::string("create file ") + temporary.data());
        detail::tick(writer.created_);
    }
    struct stat status {};
    int trouble = ::fstat(writer.fd_.get(), &status) == 0 ? 0 : errno;
    for (int attempt = 0; trouble == 0; ++attempt) {
        writer.id_ = make_queue_id(writer.created_, status.st_ino, where.options().ids);
        trouble = detail::rename_new(where.root_fd(), temporary.data(), where.relative_path(which, writer.id_).c_str());
        if (trouble == 0) {
            writer.remove_ = true;
            return writer;
        }
        if (trouble == ENOENT && attempt == 0 && where.make_hash_directories(which, writer.id_))
            trouble = 0;
        if (trouble == EEXIST && attempt < 1000) {
            detail::tick(writer.created_); // a restored file with our inode in its name
            trouble = 0;
        }
    }
    ::unlinkat(where.root_fd(), temporary.data(), 0);
    return fail_errno(std::string("create queue file from ") + temporary.data(), trouble);
}

queue_file_writer::queue_file_writer(queue_file_writer&& other) noexcept
    : spool_(other.spool_), which_(other.which_), id_(std::move(other.id_)), created_(other.created_),
      mode_(other.mode_), fd_(std::move(other.fd_)), buffer_(std::move(other.buffer_)), flushed_(other.flushed_),
      failed_(std::move(other.failed_)), remove_(std::exchange(other.remove_, false)) {}

queue_file_writer& queue_file_writer::operator=(queue_file_writer&& other) noexcept {
    if (this != &other) {
        discard();
        spool_ = other.spool_;
        which_ = other.which_;
        id_ = std::move(other.id_);
        created_ = other.created_;
        mode_ = other.mode_;
        fd_ = std::move(other.fd_);
        buffer_ = std::move(other.buffer_);
        flushed_ = other.flushed_;
        failed_ = std::move(other.failed_);
        remove_ = std::exchange(other.remove_, false);
    }
    return *this;
}

queue_file_writer::~queue_file_writer() {
    discard();
}

void queue_file_writer::discard() noexcept {
    if (std::exchange(remove_, false))
        ::unlinkat(spool_->root_fd(), spool_->relative_path(which_, id_).c_str(), 0);
    fd_.reset();
}

void queue_file_writer::put_time(timeval when) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), "%lld %ld", static_cast<long long>(when.tv_sec),
                                     static_cast<long>(when.tv_usec));
    put(record_type::time, {text.data(), static_cast<std::size_t>(length)});
}

void queue_file_writer::put_line(std::string_view line, bool unterminated, std::size_t limit) {
    limit = std::max<std::size_t>(limit, 1);
    while (line.size() > limit) {
        put(record_type::unterminated, line.substr(0, limit));
        line.remove_prefix(limit);
    }
    put(unterminated ? record_type::unterminated : record_type::text, line);
}

void queue_file_writer::flush() noexcept {
    if (!failed_) {
        if (auto written = write_all(fd_.get(), buffer_); !written)
            failed_ = std::move(written.error());
    }
    // After a failure the bytes are dropped: nobody will see the file, and memory stays bounded.
    flushed_ += static_cast<long long>(buffer_.size());
    buffer_.clear();
}

result<void> queue_file_writer::set_size(const size_record& fields) {
    const auto data = format_size_record(fields);
    if (data.size() != size_record_data)
        return fail(mta::errc::too_large, "a number too large for the size record");
    if (failed_)
        return tl::make_unexpected(*failed_);
    constexpr std::size_t data_at = size_record_bytes - size_record_data;
    if (flushed_ == 0) {
        buffer_.replace(data_at, size_record_data, data);
        return {};
    }
    const auto put = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(data_at));
    if (put != static_cast<ssize_t>(data.size()))
        failed_ = fail_errno("update queue file", put < 0 ? errno : EIO).value();
    if (failed_)
        return tl::make_unexpected(*failed_);
    return {};
}

result<void> queue_file_writer::commit_mark() {
    put(record_type::end, {});
    if (!buffer_.empty())
        flush();
    if (!failed_ && ::fchmod(fd_.get(), mode_ | 0700) != 0)
        failed_ = fail_errno("mark queue file " + id_).value();
    if (failed_)
        return tl::make_unexpected(*failed_);
    return {};
}

result<void> queue_file_writer::sync() {
    if (::fsync(fd_.get()) != 0) {
        // Gone before anybody hears of the failure: whoever is told "try again" must not find it delivered.
        auto trouble = fail_errno("flush queue file " + id_);
        discard();
        return trouble;
    }
    return keep();
}

result<void> queue_file_writer::keep() {
    if (failed_)
        return tl::make_unexpected(*failed_);
    if (auto closed = fd_.close(); !closed)
        return closed;
    remove_ = false;
    return {};
}

} // namespace mta::queue
