#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/plain_text.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/message_log.hpp>

namespace mta::queue {

namespace detail {

// A longer line is cut: no honest one comes near.
inline constexpr std::size_t max_log_line = 1U << 20U;

inline void put_field(std::string& out, std::string_view field, std::string_view value) {
    if (!value.empty())
        out.append(field).append(1, '=').append(printable(value)).append(1, '\n');
}

// Whoever wrote the log may have let control characters through: the text is for terminals and for headers of notices.
inline std::string shown(std::string_view text) {
    return is_plain(text) ? std::string(text) : printable(text);
}

// Takes a log line by line and yields an entry at the end of each paragraph.
class log_parser {
public:
    explicit log_parser(directory which) : deferred_(which == directory::defer) {}

    template <class Visit>
    void line(std::string_view text, const Visit& visit) {
        if (text.empty()) {
            finish(visit);
            return;
        }
        started_ = true;
        if (text.front() == '<') {
            const auto end = text.find(">: ");
            if (end != std::string_view::npos) {
                entry_.recipient = shown(text.substr(1, end - 1));
                entry_.reason = shown(text.substr(end + 3));
            }
            return;
        }
        const auto equals = text.find('=');
        if (equals != std::string_view::npos)
            set(text.substr(0, equals), text.substr(equals + 1));
    }

    template <class Visit>
    void finish(const Visit& visit) {
        if (std::exchange(started_, false)) {
            if (entry_.status.empty())
                entry_.status = deferred_ ? "4.0.0" : "5.0.0";
            if (entry_.action.empty())
                entry_.action = deferred_ ? "delayed" : "failed";
            visit(std::move(entry_));
            entry_ = {};
        }
    }

private:
    void set(std::string_view field, std::string_view value) {
        static constexpr std::array<std::pair<std::string_view, std::string log_entry::*>, 10> names = {{
            {"recipient", &log_entry::recipient},
            {"original_recipient", &log_entry::original_recipient},
            {"dsn_orig_rcpt", &log_entry::dsn_original},
            {"status", &log_entry::status},
            {"action", &log_entry::action},
            {"diag_type", &log_entry::diag_type},
            {"diag_text", &log_entry::diag_text},
            {"mta_type", &log_entry::mta_type},
            {"mta_mname", &log_entry::mta_name},
            {"reason", &log_entry::reason},
        }};
        for (const auto& [known, member] : names)
            if (known == field)
                entry_.*member = shown(value);
        if (field == "offset")
            entry_.offset = parse_integer(value).value_or(0);
        else if (field == "notify_flags")
            entry_.notify = static_cast<int>(parse_integer(value).value_or(0) & 0xFFFF);
    }

    log_entry entry_;
    bool deferred_;
    bool started_ = false;
};

// What log_parser finds of recipients and reasons in a log that is in memory.
inline void each_reason(std::string_view text, const reason_visitor& visit) {
    std::string_view recipient;
    std::string_view reason;
    bool started = false;
    const auto finish = [&] {
        if (std::exchange(started, false))
            visit(shown(recipient), shown(reason));
        recipient = reason = {};
    };
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty()) {
            finish();
            continue;
        }
        started = true;
        if (line.front() == '<') {
            if (const auto close = line.find(">: "); close != std::string_view::npos) {
                recipient = line.substr(1, close - 1);
                reason = line.substr(close + 3);
            }
        } else if (line.starts_with("recipient="))
            recipient = line.substr(10);
        else if (line.starts_with("reason="))
            reason = line.substr(7);
    }
    finish();
}

inline result<std::size_t> read_chunk(int fd, std::span<char> into) {
    for (;;) {
        const auto got = ::read(fd, into.data(), into.size());
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            return fail_errno("read log file");
    }
}

// A log that began with first, to its end.
inline result<void> walk_log(int fd, std::string_view first, log_parser& parser,
                             const std::function<void(log_entry&&)>& visit, std::span<char> chunk) {
    std::string pending;
    for (auto bytes = first; !bytes.empty();) {
        const bool last = bytes.size() < chunk.size(); // nobody shortens a log
        for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
            if (pending.empty())
                parser.line(bytes.substr(0, end), visit);
            else {
                pending.append(bytes.substr(0, end));
                parser.line(pending, visit);
                pending.clear();
            }
            bytes.remove_prefix(end + 1);
        }
        if (pending.size() < max_log_line)
            pending.append(bytes);
        if (last)
            break;
        auto got = read_chunk(fd, chunk);
        if (!got)
            return tl::make_unexpected(got.error());
        bytes = {chunk.data(), *got};
    }
    if (!pending.empty())
        parser.line(pending, visit);
    parser.finish(visit);
    return {};
}

using log_chunk = std::array<char, 16384>;

} // namespace detail

std::string format_log_entry(const log_entry& entry, log_style style) {
    using detail::put_field;
    std::string out = "\n";
    if (style == log_style::with_old_line)
        out.append("<").append(printable(entry.recipient)).append(">: ").append(printable(entry.reason)).append("\n");
    // An empty recipient is the null address and has to be said.
    out.append("recipient=").append(printable(entry.recipient)).append("\n");
    if (entry.original_recipient != entry.recipient)
        put_field(out, "original_recipient", entry.original_recipient);
    if (entry.offset > 0)
        out.append("offset=").append(std::to_string(entry.offset)).append("\n");
    put_field(out, "dsn_orig_rcpt", entry.dsn_original);
    if (entry.notify != 0)
        out.append("notify_flags=").append(std::to_string(entry.notify)).append("\n");
    put_field(out, "status", entry.status);
    put_field(out, "action", entry.action);
    put_field(out, "diag_type", entry.diag_type);
    put_field(out, "diag_text", entry.diag_text);
    put_field(out, "mta_type", entry.mta_type);
    put_field(out, "mta_mname", entry.mta_name);
    put_field(out, "reason", entry.reason);
    out += '\n';
    return out;
}

result<void> append_log(const spool& where, directory which, std::string_view id, std::span<const log_entry> entries,
                        durability how, log_style style) {
    std::string text;
    for (const auto& entry : entries)
        text += format_log_entry(entry, style);
    for (;;) {
        auto fd = where.open_file(which, id, O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (!fd)
            return tl::make_unexpected(fd.error());
        if (auto locked = wait_lock(fd->get(), lock_mode::exclusive); !locked)
            return locked;
        struct stat status {};
        if (::fstat(fd->get(), &status) != 0)
            return fail_errno("look at log file");
        if (!S_ISREG(status.st_mode))
            return fail(errc::not_regular, "log file is not a regular file");
        if (status.st_nlink == 0)
            continue; // its reader removed it while we waited for the lock
        auto written = write_all(fd->get(), text);
        if (written && how == durability::flushed && ::fsync(fd->get()) != 0)
            written = fail_errno("flush log file");
        if (!written) {
            // Half a paragraph would swallow the next one.
            if (::ftruncate(fd->get(), status.st_size) != 0)
                return fail_errno("shorten log file");
            return written;
        }
        return fd->close();
    }
}

std::vector<log_entry> parse_log(std::string_view text, directory which) {
    std::vector<log_entry> entries;
    detail::log_parser parser(which);
    const auto keep = [&](log_entry&& entry) { entries.push_back(std::move(entry)); };
    while (!text.empty()) {
        const auto end = text.find('\n');
        parser.line(text.substr(0, end), keep);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    parser.finish(keep);
    return entries;
}

result<bool> read_log(const spool& where, directory which, std::string_view id,
                      const std::function<void(log_entry&&)>& visit) {
    auto fd = where.open_file(which, id, O_RDONLY | O_NOATIME);
    if (!fd && fd.error().code == std::errc::no_such_file_or_directory)
        return false;
    detail::log_chunk chunk; // NOLINT: filled before it is read
    const auto got = fd ? detail::read_chunk(fd->get(), chunk) : tl::make_unexpected(fd.error());
    if (!got)
        return tl::make_unexpected(got.error());
    detail::log_parser parser(which);
    auto done = detail::walk_log(fd->get(), {chunk.data(), *got}, parser, visit, chunk);
    return done ? result<bool>(true) : tl::make_unexpected(done.error());
}

result<bool> read_reasons(const spool& where, directory which, std::string_view id, const reason_visitor& visit,
                          struct stat* status) {
    auto fd = where.open_file(which, id, O_RDONLY | O_NOATIME);
    if (!fd && fd.error().code == std::errc::no_such_file_or_directory)
        return false;
    if (fd && status != nullptr && ::fstat(fd->get(), status) != 0)
        return fail_errno("look at log file");
    detail::log_chunk chunk; // NOLINT: filled before it is read
    const auto got = fd ? detail::read_chunk(fd->get(), chunk) : tl::make_unexpected(fd.error());
    if (!got)
        return tl::make_unexpected(got.error());
    const std::string_view first(chunk.data(), *got);
    if (first.size() < chunk.size()) {
        detail::each_reason(first, visit);
        return true;
    }
    detail::log_parser parser(which);
    const auto take = [&visit](log_entry&& entry) { visit(std::move(entry.recipient), std::move(entry.reason)); };
    auto done = detail::walk_log(fd->get(), first, parser, take, chunk);
    return done ? result<bool>(true) : tl::make_unexpected(done.error());
}

result<std::vector<log_entry>> read_log(const spool& where, directory which, std::string_view id) {
    std::vector<log_entry> entries;
    auto done = read_log(where, which, id, [&](log_entry&& entry) { entries.push_back(std::move(entry)); });
    if (!done)
        return tl::make_unexpected(done.error());
    return entries;
}

} // namespace mta::queue
