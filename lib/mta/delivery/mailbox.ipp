#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/mailbox.hpp>
#include <mta/delivery/mailbox_output.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::delivery {

status sent(std::string reason) { return {outcome::delivered, "2.0.0", std::move(reason)}; }
status defer(std::string dsn, std::string reason) { return {outcome::deferred, std::move(dsn), std::move(reason)}; }
status bounce(std::string dsn, std::string reason) { return {outcome::bounced, std::move(dsn), std::move(reason)}; }

result<std::vector<file_lock>> parse_locks(std::string_view list) {
    std::vector<file_lock> out;
    for (const auto word : split(list, ", \t\r\n")) {
        if (word == "fcntl")
            out.push_back(file_lock::fcntl);
        else if (word == "flock")
            out.push_back(file_lock::flock);
        else if (word == "dotlock")
            out.push_back(file_lock::dotlock);
        else
            return fail(errc::malformed, "unknown mailbox lock method: \"" + std::string(word) + "\"");
    }
    return out;
}

std::string from_line(std::string_view sender, long long when) {
    const auto seconds = static_cast<time_t>(when);
    struct tm parts {};
    ::localtime_r(&seconds, &parts);
    char text[64];
    // ctime(3) is asctime(3) of local time, whatever the locale says.
    if (::asctime_r(&parts, text) == nullptr)
        text[0] = '\n', text[1] = '\0';
    return "From " + (sender.empty() ? std::string("MAILER-DAEMON") : printable(address::quote(sender))) + "  " + text;
}

std::string mailbox_headers(const mailbox_job& job) {
    std::string out = "Return-Path: <" + printable(address::quote(job.sender)) + ">\n";
    if (!job.original.empty())
        out += "X-Original-To: " + printable(address::quote(job.original)) + "\n";
    if (!job.delivered_to.empty())
        out += "Delivered-To: " + printable(address::quote(job.delivered_to)) + "\n";
    return out;
}

namespace {

bool is_refusal(const std::error_code& code) {
    using e = std::errc;
    constexpr e refusals[] = {e::permission_denied, e::operation_not_permitted, e::no_such_file_or_directory,
                              e::not_a_directory,   e::is_a_directory,          e::no_such_device_or_address,
                              e::filename_too_long, e::too_many_symbolic_link_levels};
    return code == make_error_code(errc::not_permitted) ||
           std::ranges::any_of(refusals, [&](e one) { return code == one; });
}

status failure_kind(const mailbox_job& job, const std::error_code& code, std::string reason) {
    if (code == std::errc::file_too_large || code == std::error_code(EDQUOT, std::generic_category()))
        return bounce("5.2.2", std::move(reason));
    if (code == std::errc::no_space_on_device)
        return defer("4.3.0", std::move(reason));
    if (job.refusals_bounce && is_refusal(code))
        return bounce("5.2.0", std::move(reason));
    return defer("4.2.0", std::move(reason));
}

} // namespace

status write_failure(const mailbox_job& job, const error& why, std::string_view prefix) {
    std::string reason = std::string(prefix) + why.text();
    auto out = failure_kind(job, why.code, std::move(reason));
    // Trouble with the file itself is reported as the exit status of a mailbox command would be (EX_IOERR).
    if (why.detail.starts_with("error writing message")) {
        out.diag_type = "x-unix";
        out.diag_text = "input/output error";
    }
    return out;
}

namespace {

result<void> copy_text(queue::queue_file& from, mailbox_output& out, bool from_lines) {
    bool line_start = true;
    std::string_view line;
    bool unterminated = false;
    for (;;) {
        auto more = from.next_line(line, unterminated);
        if (!more)
            return fail(more.error().code, "error reading message: " + more.error().text());
        if (!*more)
            return line_start ? result<void>() : out.put("\n");
        if (from_lines && line_start && line.starts_with("From "))
            if (auto done = out.put(">"); !done)
                return done;
        if (auto done = out.put(line); !done)
            return done;
        line_start = !unterminated;
        if (line_start)
            if (auto done = out.put("\n"); !done)
                return done;
    }
}

} // namespace

result<void> write_message(const mailbox_job& job, int queue_file, mailbox_output& out, bool from_lines) {
    // A private descriptor: the caller keeps its own, with its lock.
    unique_fd copy(::fcntl(queue_file, F_DUPFD_CLOEXEC, 3));
    if (!copy)
        return fail_errno("error reading message");
    auto from = queue::queue_file::adopt(std::move(copy));
    if (!from)
        return fail(from.error().code, "error reading message: " + from.error().text());
    if (auto started = from->start_content(job.data_offset); !started)
        return fail(started.error().code, "error reading message: " + started.error().text());
    if (from_lines)
        if (auto done = out.put(from_line(job.sender, ::time(nullptr))); !done)
            return done;
    if (auto done = out.put(mailbox_headers(job)); !done)
        return done;
    if (auto done = copy_text(*from, out, from_lines); !done)
        return done;
    if (from_lines)
        if (auto done = out.put("\n"); !done)
            return done;
    return out.flush();
}

status deliver_to_mailbox(const mailbox_job& job, int queue_file) {
    if (job.path.empty() || job.path.front() != '/')
        return defer("4.3.5", "mail system configuration error: mailbox path is not absolute");
    return job.style == mailbox_style::maildir ? deliver_maildir(job, queue_file) : deliver_mbox(job, queue_file);
}

} // namespace mta::delivery
