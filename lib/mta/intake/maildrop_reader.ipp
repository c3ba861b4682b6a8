// Bodies of maildrop_reader.hpp.
#include <mta/intake/maildrop_reader.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <optional>

#include <mta/core/lock.hpp>
#include <mta/core/text.hpp>
#include <mta/intake/message.hpp>
#include <mta/intake/parts.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/record_file.hpp>

namespace mta::intake {

namespace {

using queue::record_type;

// One file being read: the envelope is collected until the first recipient or the text, then the message begins.
class maildrop_file {
public:
    maildrop_file(intake_context& context, const logger& log, std::string_view name, const struct stat& status, int fd)
        : context_(context), log_(log), name_(name),
          ours_(status.st_uid == ::geteuid() && (status.st_mode & S_IROTH) == 0), records_(fd, status.st_size, ours_ ? queue::pointers::follow : queue::pointers::hand_out) {
        request_.origin = origin::local;
        request_.context = rewrite_context::local;
        request_.uid = status.st_uid;
        request_.map_addresses = request_.add_always_bcc = context.inside().address_mappings;
        request_.content_filter = context.inside().content_filter;
        request_.arrival = {.tv_sec = status.st_mtim.tv_sec, .tv_usec = status.st_mtim.tv_nsec / 1000};
    }

    // errc::malformed and the queue's errors: the file is bad. Others: the host is in trouble.
    [[nodiscard]] result<void> run();

    [[nodiscard]] std::optional<intake_message>& message() noexcept { return message_; }
    [[nodiscard]] bool ours() const noexcept { return ours_; }
    // Somebody has had this message.
    [[nodiscard]] bool has_done_recipients() const noexcept { return has_done_recipients_; }

private:
    enum class segment { envelope, content, extracted };

    [[nodiscard]] result<bool> take(const queue::file_record& record);
    [[nodiscard]] result<bool> take_envelope(const queue::file_record& record);
    [[nodiscard]] result<void> take_attribute(std::string_view pair);
    [[nodiscard]] result<void> take_recipient(std::string_view address);
    [[nodiscard]] result<void> begin();
    [[nodiscard]] static failure bad(std::string_view what) { return fail(errc::malformed, std::string(what)); }

    intake_context& context_;
    const logger& log_;
    std::string_view name_;
    bool ours_; // a queue file put here again by postsuper -r: what postdrop writes is readable for all
    queue::record_file records_;
    segment at_ = segment::envelope;
    intake_request request_;
    intake_recipient next_;
    bool has_sender_ = false;
    bool has_done_recipients_ = false;
    std::optional<intake_message> message_;
};

result<void> maildrop_file::run() {
    for (;;) {
        auto record = records_.next();
        if (!record)
            return tl::make_unexpected(record.error());
        if (!*record)
            return bad("the end record is missing");
        auto more = take(**record);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            return {};
    }
}

result<bool> maildrop_file::take(const queue::file_record& record) {
    if (at_ == segment::content) {
        if (record.type == record_type::text || record.type == record_type::unterminated) {
            if (auto done = message_->content_line(record.data, record.type == record_type::unterminated); !done)
                return tl::make_unexpected(done.error());
            return true;
        }
        if (record.type != record_type::extracted)
            return bad("unexpected record in the text");
        at_ = segment::extracted;
        if (auto done = message_->end_content(); !done)
            return tl::make_unexpected(done.error());
        return true;
    }
    if (record.data.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
        return bad("control characters in the envelope");
    return take_envelope(record);
}

result<bool> maildrop_file::take_envelope(const queue::file_record& record) {
    result<void> done;
    const bool extracted = at_ == segment::extracted;
    switch (record.type) {
    case record_type::end:
        if (!extracted)
            return bad("the text is missing");
        return false;
    case record_type::message:
        if (extracted)
            return bad("text after the text");
        done = begin();
        at_ = segment::content;
        break;
    case record_type::sender:
        if (has_sender_ || extracted)
            return bad("more than one sender");
        has_sender_ = true;
        request_.sender = record.data;
        break;
    case record_type::full_name:
        request_.full_name = record.data;
        break;
    case record_type::verp:
        if (record.data.size() == 2)
            request_.verp = record.data;
        break;
    case record_type::time: {
        const auto words = split(record.data, " ");
        const auto seconds = words.empty() ? parse_integer("") : parse_integer(words[0]);
        const auto micros = words.size() < 2 ? result<long long>(0) : parse_integer(words[1]);
        if (!seconds || !micros || *seconds < 0 || *micros < 0 || *micros >= 1000000)
            return bad("bad arrival time");
        request_.arrival = {.tv_sec = static_cast<time_t>(*seconds), .tv_usec = static_cast<suseconds_t>(*micros)};
        break;
    }
    case record_type::attribute:
        done = take_attribute(record.data);
        break;
    case record_type::original_recipient:
        next_.original = record.data;
        break;
    case record_type::recipient:
        done = take_recipient(record.data);
        break;
    case record_type::done:
        has_done_recipients_ = true;
        next_ = {};
        break;
    case record_type::cancelled:
        next_ = {};
        break;
    case record_type::size: // placeholders, and what a second pass through the queue makes anew
    case record_type::filter:
    case record_type::redirect:
    case record_type::inspector:
    case record_type::return_receipt:
    case record_type::errors_to:
    case record_type::priority:
    case record_type::warn_time:
    case record_type::padding:
    case record_type::killed:
        break;
    default:
        return bad("unexpected record type " + std::to_string(static_cast<int>(record.type)));
    }
    if (!done)
        return tl::make_unexpected(done.error());
    return true;
}

result<void> maildrop_file::take_attribute(std::string_view pair) {
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return bad("attribute without a name");
    const auto name = pair.substr(0, equals);
    const auto value = pair.substr(equals + 1);
    const auto number = parse_integer(value).value_or(0);
    const int flags = number > 0 && number < 4096 ? static_cast<int>(number) : 0;
    if (name == "notify_flags") {
        next_.notify = flags & 15;
    } else if (name == "dsn_orig_rcpt") {
        next_.dsn_original = value;
    } else if (at_ == segment::extracted) {
        // The rest describes the message before its text.
    } else if (name == "envelope_id") {
        request_.dsn_envelope_id = value;
    } else if (name == "ret_flags") {
        request_.dsn_ret = flags & 3;
    } else if (name == "rewrite_context") {
        request_.context = value == "remote" ? rewrite_context::remote : rewrite_context::local;
    } else if (name == "encoding") {
        if (value == "7bit" || value == "8bit")
            request_.encoding = value;
    } else if (name == "trace_flags") {
        request_.trace_flags = flags & (512 | 1024);
    } else if (ours_ && name != "create_time" && name != "log_ident" &&
               request_.attributes.size() <= context_.inside().attribute_limit) {
        request_.attributes.emplace_back(name, value);
    }
    return {};
}

result<void> maildrop_file::begin() {
    if (message_)
        return {};
    if (!has_sender_)
        return bad("the sender is missing");
    const std::string from = request_.sender;
    const auto uid = request_.uid;
    auto begun = intake_message::begin(context_, std::move(request_));
    if (!begun)
        return tl::make_unexpected(begun.error());
    message_.emplace(std::move(*begun));
    log_.info(message_->queue_id() + ": uid=" + std::to_string(uid) + " from=<" + printable(from) + '>' +
              (ours_ ? " orig_id=" + std::string(name_) : std::string()));
    return {};
}

result<void> maildrop_file::take_recipient(std::string_view address) {
    if (auto begun = begin(); !begun)
        return begun;
    next_.address = address;
    auto done = message_->recipient(next_);
    next_ = {};
    return done;
}

// What is wrong with the file, as opposed to trouble of this host.
bool is_bad_file(const mta::error& problem) noexcept {
    return queue::is_damage(problem.code) || problem.code == errc::malformed;
}

pickup_outcome refuse(const logger& log, const queue::spool& where, std::string_view name, const std::string& reason) {
    log.warning(std::string(name) + ": " + reason + ": saving corrupt file from queue \"maildrop\" to queue \"corrupt\"");
    if (auto moved = where.move(queue::directory::maildrop, queue::directory::corrupt, name); !moved)
        return {pickup_result::keep, {}, moved.error().text()};
    return {pickup_result::refused, {}, reason};
}

pickup_outcome finish(const logger& log, const queue::spool& where, std::string_view name) {
    log.info("maildrop/" + std::string(name) + ": every recipient has been served, removed");
    if (auto removed = where.remove(queue::directory::maildrop, name); !removed)
        return {pickup_result::keep, {}, removed.error().text()};
    return {pickup_result::finished, {}, {}};
}

pickup_outcome keep_file(const logger& log, std::string_view name, const std::string& reason) {
    log.warning("maildrop/" + std::string(name) + ": " + reason + " -- message left in the maildrop queue");
    return {pickup_result::keep, {}, reason};
}

} // namespace

result<pickup_outcome> take_maildrop_file(intake_context& context, const logger& log, const queue::spool& where,
                                          std::string_view name) {
    if (!queue::is_valid_queue_id(name))
        return pickup_outcome{pickup_result::not_ready, {}, "no message name"};
    auto fd = where.open_file(queue::directory::maildrop, name, O_RDONLY);
    if (!fd) {
        const auto& code = fd.error().code;
        if (code == std::errc::no_such_file_or_directory)
            return pickup_outcome{pickup_result::not_ready, {}, "gone"};
        if (code == queue::errc::not_regular)
            return refuse(log, where, name, "not a regular file");
        return keep_file(log, name, fd.error().text());
    }
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0)
        return fail_errno("fstat " + std::string(name));
    if (!S_ISREG(status.st_mode))
        return refuse(log, where, name, "not a regular file");
    if (!queue::is_complete(status.st_mode))
        return pickup_outcome{pickup_result::not_ready, {}, "still being written"};
    if (status.st_nlink != 1)
        return refuse(log, where, name, "file has more than one name");

    maildrop_file file(context, log, name, status, fd->get());
    // postsuper -r took it from under a delivery, which marks whom it has served: wait for its end.
    if (file.ours())
        if (auto idle = try_lock(fd->get(), lock_mode::exclusive); idle && !*idle)
            return pickup_outcome{pickup_result::not_ready, {}, "still being delivered"};
    if (auto done = file.run(); !done)
        return is_bad_file(done.error()) ? refuse(log, where, name, done.error().text())
                                       : keep_file(log, name, done.error().text());
    auto& message = *file.message();
    auto verdict = message.finish();
    if (!verdict)
        return keep_file(log, name, verdict.error().text());
    if (verdict->status == status_no_recipients && file.ours() && file.has_done_recipients())
        return finish(log, where, name);
    if (!verdict->accepted())
        return verdict->temporary() ? keep_file(log, name, verdict->text) : refuse(log, where, name, verdict->text);
    if (auto synced = message.sync(); !synced)
        return keep_file(log, name, synced.error().text());
    if (auto removed = where.remove(queue::directory::maildrop, name); !removed)
        log.warning("remove maildrop/" + std::string(name) + ": " + removed.error().text());
    return pickup_outcome{pickup_result::queued, message.queue_id(), {}};
}

} // namespace mta::intake
