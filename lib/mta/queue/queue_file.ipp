#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include <mta/core/text.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::queue {

namespace detail {

inline result<char> byte_at(int fd, long long offset) {
    char byte = 0;
    for (;;) {
        const auto got = ::pread(fd, &byte, 1, static_cast<off_t>(offset));
        if (got == 1)
            return byte;
        if (got == 0)
            return fail(errc::not_a_recipient, "offset " + std::to_string(offset) + " is beyond the end");
        if (errno != EINTR)
            return fail_errno("read queue file");
    }
}

inline result<void> write_at(int fd, long long offset, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno("update queue file");
        bytes.remove_prefix(static_cast<std::size_t>(put));
        offset += put;
    }
    return {};
}

inline result<void> replace_type(int fd, long long offset, record_type from, record_type to) {
    const auto found = offset >= 0 ? byte_at(fd, offset)
                                   : fail(errc::not_a_recipient, "negative offset " + std::to_string(offset));
    if (!found)
        return tl::make_unexpected(found.error());
    if (*found == static_cast<char>(to))
        return {};
    if (*found != static_cast<char>(from))
        return fail(errc::not_a_recipient, "no such record at offset " + std::to_string(offset));
    const char byte = static_cast<char>(to);
    return write_at(fd, offset, {&byte, 1});
}

// Builds an envelope from its records, one at a time.
class envelope_builder {
public:
    envelope_builder(envelope& into, const envelope_options& options) : into_(into), options_(options) {}

    result<void> in_envelope(const file_record& record) {
        switch (record.type) {
        case record_type::size:
            return size(record);
        case record_type::time:
            return time(record.data);
        case record_type::full_name:
            if (options_.attributes)
                into_.full_name = record.data;
            return {};
        case record_type::sender:
            return sender(record.data);
        case record_type::warn_time:
            into_.warn_offset = record.offset;
            into_.warn_time = parse_integer(trim(record.data)).value_or(0);
            return {};
        case record_type::verp:
            into_.verp = record.data;
            return {};
        case record_type::create_time:
        case record_type::dsn_ret:
        case record_type::dsn_envid:
            return {};
        default:
            return in_both(record);
        }
    }

    result<void> in_extracted(const file_record& record) {
        switch (record.type) {
        case record_type::errors_to:
            into_.errors_to = record.data;
            return {};
        case record_type::return_receipt:
        case record_type::priority:
            return {};
        default:
            return in_both(record);
        }
    }

    result<void> finish() const {
        if (!have_time_)
            return fail(errc::no_arrival_time, "missing arrival time record");
        if (!have_sender_)
            return fail(errc::no_sender, "missing sender record");
        return {};
    }

private:
    result<void> in_both(const file_record& record) {
        switch (record.type) {
        case record_type::attribute:
            return attribute(record);
        case record_type::recipient:
            return recipient_record(record, false);
        case record_type::done:
            return recipient_record(record, true);
        case record_type::original_recipient:
            if (options_.attributes)
                pending_.original = record.data;
            return {};
        case record_type::filter:
            into_.content_filter = record.data;
            return {};
        case record_type::inspector:
            into_.inspector = record.data;
            return {};
        case record_type::redirect:
            into_.redirect = record.data;
            return {};
        case record_type::cancelled:
            pending_ = {};
            return {};
        case record_type::killed:
        case record_type::dsn_original_recipient:
        case record_type::dsn_notify:
        case record_type::padding:
        case record_type::pointer:
            return {};
        default:
            return fail(errc::unexpected_record,
                        "unexpected record type " + std::to_string(static_cast<int>(record.type)) + " at offset " +
                            std::to_string(record.offset));
        }
    }

    result<void> size(const file_record& record) {
        if (record.offset != 0)
            return {}; // a resubmitted file keeps its old one: it means nothing there
        auto fields = parse_size_record(record.data);
        if (!fields)
            return tl::make_unexpected(fields.error());
        into_.size = *fields;
        return {};
    }

    result<void> time(std::string_view data) {
        const auto text = trim(data);
        const auto blank = text.find(' ');
        const auto seconds = parse_integer(text.substr(0, blank));
        const auto micros = blank == std::string_view::npos ? result<long long>(0) : parse_integer(trim(text.substr(blank)));
        if (!seconds || *seconds <= 0 || !micros || *micros < 0 || *micros >= 1000000)
            return fail(errc::bad_time, "bad time record: " + printable(data));
        if (!std::exchange(have_time_, true))
            into_.arrival = {static_cast<time_t>(*seconds), static_cast<suseconds_t>(*micros)};
        return {};
    }

    result<void> sender(std::string_view data) {
        if (std::exchange(have_sender_, true))
            return fail(errc::second_sender, "more than one sender record");
        into_.sender = data;
        return {};
    }

    result<void> attribute(const file_record& record) {
        const auto equals = record.data.find('=');
        const auto key = trim(record.data.substr(0, equals));
        if (equals == std::string_view::npos || key.empty())
            return fail(errc::bad_attribute, "bad attribute record: " + printable(record.data.substr(0, 200)));
        if (!options_.attributes)
            return {};
        const auto value = trim(record.data.substr(equals + 1));
        const auto number = [&] { return static_cast<int>(parse_integer(value).value_or(0) & 0xFFFF); };
        if (key == "notify_flags")
            pending_.notify = number();
        else if (key == "dsn_orig_rcpt")
            pending_.dsn_original = value;
        else if (key == "encoding")
            into_.encoding = value;
        else if (key == "rewrite_context")
            into_.rewrite_context = value;
        else if (key == "envelope_id")
            into_.dsn_envid = value;
        else if (key == "ret_flags")
            into_.dsn_ret = number();
        else if (key == "create_time")
            into_.create_time = parse_integer(value).value_or(0);
        else if (key == "trace_flags") {
            into_.trace_flags = number();
            into_.trace_flags_offset = record.offset;
        } else
            into_.attributes.emplace_back(key, value);
        return {};
    }

    result<void> recipient_record(const file_record& record, bool done) {
        if (!have_sender_)
            return fail(errc::early_recipient, "recipient record before the sender");
        auto taken = std::exchange(pending_, {});
        if (done)
            ++into_.done_recipients;
        if (done && !options_.keep_done)
            return {};
        if (into_.recipients.size() >= options_.recipient_limit) {
            into_.more_recipients = true;
            return {};
        }
        taken.address = record.data;
        taken.offset = record.offset;
        taken.done = done;
        into_.recipients.push_back(std::move(taken));
        return {};
    }

    envelope& into_;
    const envelope_options& options_;
    recipient pending_; // what was said ahead of the next recipient
    bool have_time_ = false;
    bool have_sender_ = false;
};

[[nodiscard]] constexpr bool may_open_a_file(record_type type) noexcept {
    constexpr std::string_view letters = "CTcFSARDOWVLI>/Kwp<ion";
    return letters.find(static_cast<char>(type)) != std::string_view::npos;
}

} // namespace detail

result<void> mark_done(int fd, long long offset) {
    return detail::replace_type(fd, offset, record_type::recipient, record_type::done);
}

bool is_done(int fd, long long offset) {
    const auto type = detail::byte_at(fd, offset);
    return type && *type == static_cast<char>(record_type::done);
}

result<void> kill_record(int fd, long long offset) {
    return detail::replace_type(fd, offset, record_type::attribute, record_type::killed);
}

result<void> set_warn_time(int fd, long long offset, long long when) {
    const auto found = detail::byte_at(fd, offset);
    if (!found)
        return tl::make_unexpected(found.error());
    if (*found != static_cast<char>(record_type::warn_time))
        return fail(errc::not_a_recipient, "no warning time record at offset " + std::to_string(offset));
    std::string bytes;
    append_record(bytes, record_type::warn_time, format_pointer(when)); // the same fifteen columns
    return detail::write_at(fd, offset, bytes);
}

result<queue_file> queue_file::open(const spool& where, directory which, std::string_view id, access mode) {
    auto fd = where.open_file(which, id, mode == access::read_only ? O_RDONLY : O_RDWR);
    if (!fd)
        return tl::make_unexpected(fd.error());
    return adopt(std::move(*fd));
}

result<queue_file> queue_file::adopt(unique_fd fd) {
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0)
        return fail_errno("look at queue file");
    if (!S_ISREG(status.st_mode))
        return fail(errc::not_regular, "not a regular file");
    return queue_file(std::move(fd), status);
}

result<envelope> queue_file::read_envelope(const envelope_options& options) {
    envelope read;
    if (auto done = read_envelope(read, options); !done)
        return tl::make_unexpected(done.error());
    return read;
}

result<void> queue_file::read_envelope(envelope& into, const envelope_options& options) {
    detail::envelope_builder builder(into, options);
    content_ = false;
    records_->seek(0);
    enum class segment { envelope, content, extracted } where = segment::envelope;
    for (bool first = true;; first = false) {
        auto read = records_->next();
        if (!read)
            return tl::make_unexpected(read.error());
        if (!*read)
            return fail(errc::missing_end, "missing end record");
        const file_record& record = **read;
        result<void> taken;
        if (first && !detail::may_open_a_file(record.type))
            return fail(errc::not_a_queue_file, "not a queue file");
        if (where == segment::envelope && record.type == record_type::message) {
            into.data_offset = records_->offset();
            where = segment::content;
            skip_content(into);
        } else if (where == segment::content) {
            if (record.type == record_type::extracted) {
                into.content_end = record.offset;
                where = segment::extracted;
            } else if (record.type != record_type::text && record.type != record_type::unterminated)
                taken = fail(errc::unexpected_record, "unexpected record in the message text at offset " +
                                                          std::to_string(record.offset));
        } else if (where == segment::extracted && record.type == record_type::end)
            return builder.finish();
        else
            taken = where == segment::envelope ? builder.in_envelope(record) : builder.in_extracted(record);
        if (!taken)
            return taken;
    }
}

// The size record tells where the text ends; a file that was edited in place may say otherwise, then the text is
// walked record by record.
void queue_file::skip_content(const envelope& read) {
    if (!read.size || read.size->data_offset <= 0 || read.size->content_size < 0)
        return;
    const auto back = records_->offset();
    const auto size = records_->size();
    if (read.size->data_offset >= size || read.size->content_size >= size - read.size->data_offset)
        return;
    const auto end = read.size->data_offset + read.size->content_size;
    records_->seek(end);
    const auto found = records_->next();
    const bool good = found && *found && (*found)->type == record_type::extracted && (*found)->offset == end;
    records_->seek(good ? end : back);
}

result<void> queue_file::start_content(std::optional<long long> data_offset) {
    content_ = false;
    if (data_offset && *data_offset > 0) {
        if (*data_offset >= records_->size())
            return fail(errc::truncated_record, "the message text begins beyond the end of the file");
        records_->seek(*data_offset);
        content_ = true;
        return {};
    }
    records_->seek(0);
    for (bool first = true; !content_; first = false) {
        auto read = records_->next();
        if (!read)
            return tl::make_unexpected(read.error());
        if (!*read)
            return fail(errc::missing_end, "the file ends inside the envelope");
        if (first && !detail::may_open_a_file((*read)->type))
            return fail(errc::not_a_queue_file, "not a queue file");
        content_ = (*read)->type == record_type::message;
    }
    return {};
}

result<bool> queue_file::end_of_content(const file_record& last) {
    if (last.type != record_type::extracted)
        return fail(errc::unexpected_record,
                    "unexpected record in the message text at offset " + std::to_string(last.offset));
    records_->seek(last.offset); // so that asking again gives the same answer
    return false;
}

} // namespace mta::queue
