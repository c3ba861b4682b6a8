#pragma once

#include <algorithm>
#include <array>
#include <cstdio>

#include <mta/config/origin.hpp>
#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/core/text.hpp>
#include <mta/message/date.hpp>
#include <mta/message/header.hpp>
#include <mta/notify/notice.hpp>

namespace mta::notify {

settings settings_from(const config::configuration& cfg) {
    settings out;
    out.myhostname = cfg.text("myhostname");
    out.mail_name = cfg.text("mail_name");
    out.double_bounce_sender = cfg.text("double_bounce_sender");
    out.myorigin = config::mail_origin(cfg);
    out.bounce_notice_recipient = cfg.text("bounce_notice_recipient");
    out.double_bounce_recipient = cfg.text("2bounce_notice_recipient");
    out.delay_notice_recipient = cfg.text("delay_notice_recipient");
    out.bounce_size_limit = cfg.number("bounce_size_limit").value_or(out.bounce_size_limit);
    if (const auto lifetime = cfg.time("maximal_queue_lifetime"))
        out.maximal_queue_lifetime = lifetime->count();
    out.enable_original_recipient = cfg.yes_no("enable_original_recipient").value_or(true);
    return out;
}

destination failure_destination(std::string_view sender, const settings& with) {
    if (sender.empty())
        return destination::postmaster;
    const auto parts = address::split_address(sender);
    const bool ours = parts.domain.empty() || iequals(parts.domain, with.myhostname) ||
                      iequals(parts.domain, with.myorigin);
    if (ours && iequals(parts.local, with.double_bounce_sender))
        return destination::nobody;
    return destination::sender;
}

std::vector<queue::log_entry> entries_for(notify::kind kind, std::span<const queue::log_entry> entries) {
    int wanted = 0;
    switch (kind) {
    case kind::failure:
    case kind::double_bounce:
        wanted = queue::notify_failure;
        break;
    case kind::delay:
        wanted = queue::notify_delay;
        break;
    case kind::success:
        wanted = queue::notify_success;
        break;
    case kind::probe:
    case kind::postmaster_failure:
    case kind::postmaster_delay:
        return {entries.begin(), entries.end()};
    }
    std::vector<queue::log_entry> due;
    for (const auto& entry : entries)
        if ((entry.notify & wanted) != 0 || (entry.notify == 0 && kind != kind::success))
            due.push_back(entry);
    return due;
}

notice_envelope envelope_of(const request& about, const settings& with) {
    const std::string self = with.double_bounce_sender + '@' + with.myhostname;
    switch (about.kind) {
    case kind::postmaster_failure:
        return {self, with.bounce_notice_recipient};
    case kind::postmaster_delay:
        return {self, with.delay_notice_recipient};
    case kind::double_bounce:
        return {self, with.double_bounce_recipient};
    default:
        return {std::string(), about.envelope->sender};
    }
}

namespace detail {

[[nodiscard]] inline bool to_postmaster(notify::kind kind) noexcept {
    return kind == kind::postmaster_failure || kind == kind::postmaster_delay || kind == kind::double_bounce;
}

[[nodiscard]] inline std::string_view subject(notify::kind kind) noexcept {
    switch (kind) {
    case kind::failure:
        return "Undelivered Mail Returned to Sender";
    case kind::delay:
        return "Delayed Mail (still being retried)";
    case kind::success:
        return "Successful Mail Delivery Report";
    case kind::probe:
        return "Mail Delivery Status Report";
    case kind::postmaster_delay:
        return "Postmaster Warning: Delayed Mail";
    case kind::postmaster_failure:
    case kind::double_bounce:
        break;
    }
    return "Postmaster Copy: Undelivered Mail";
}

// "5 days", "4 hours", "20 minutes": whole units, never 0.
[[nodiscard]] inline std::string span_of_time(long long seconds) {
    const auto say = [&](long long unit, const char* word) {
        const auto count = std::max(1LL, seconds / unit);
        return std::to_string(count) + ' ' + word + (count == 1 ? "" : "s");
    };
    if (seconds >= 86400)
        return say(86400, "day");
    if (seconds >= 3600)
        return say(3600, "hour");
    return say(60, "minute");
}

// Composes one notice. Every line that holds text from elsewhere (recipients, remote replies) is masked and folded.
class composer {
public:
    composer(const request& about, const settings& with, const line_sink& sink)
        : about_(about), with_(with), sink_(sink), target_(envelope_of(about, with)) {
        std::array<char, 64> when{};
        // Microseconds, so that a message cannot foresee the boundary of its own notice.
        std::snprintf(when.data(), when.size(), ".%lld%06ld/", static_cast<long long>(about.now.tv_sec),
                      static_cast<long>(about.now.tv_usec));
        boundary_ = (about.queue_id + when.data() + with.myhostname).substr(0, 70); // RFC 2046 5.1.1
        full_ = wants_full();
    }

    result<void> run() {
        headers();
        put("This is a MIME-encapsulated message.");
        put("");
        part("Notification", "text/plain; charset=utf-8");
        explanation();
        for (const auto& entry : about_.entries)
            recipient_for_people(entry);
        if (about_.original == nullptr) {
            put("The original message could not be read, so it is not attached.");
            put("");
        }
        status();
        if (about_.original != nullptr)
            original();
        put("--" + boundary_ + "--");
        if (failed_)
            return tl::make_unexpected(*failed_);
        return {};
    }

private:
    void put(std::string_view line, bool unterminated = false) {
        if (failed_)
            return;
        if (auto done = sink_(line, unterminated); !done)
            failed_ = std::move(done.error());
    }

    // Words up to 78 columns a line; what goes on is indented by four.
    void put_folded(std::string_view text) {
        constexpr std::size_t width = 78;
        constexpr std::size_t longest_word = 900; // RFC 5322 2.1.1 with room
        const std::string clean = printable(text);
        std::string line;
        bool first = true;
        std::string_view rest = clean;
        const auto add = [&](std::string_view word) {
            if (!first && line.size() + 1 + word.size() > width) {
                put(line);
                line = "   ";
            }
            if (!std::exchange(first, false))
                line += ' ';
            line += word;
        };
        while (!rest.empty()) {
            auto length = std::min(rest.find(' '), rest.size());
            if (length > longest_word) {
                length = longest_word;
                while (length > 1 && (static_cast<unsigned char>(rest[length]) & 0xC0U) == 0x80U)
                    --length; // not inside a character
                add(rest.substr(0, length));
                rest.remove_prefix(length);
                continue;
            }
            add(rest.substr(0, length));
            rest.remove_prefix(std::min(length + 1, rest.size()));
        }
        put(line);
    }

    [[nodiscard]] bool wants_full() const {
        if (about_.kind != kind::failure && about_.kind != kind::double_bounce)
            return false;
        if (about_.envelope->dsn_ret == queue::ret_headers)
            return false;
        const auto& size = about_.envelope->size;
        const auto length = !size ? 0 : size->content_length > 0 ? size->content_length : size->content_size;
        return with_.bounce_size_limit <= 0 || length <= with_.bounce_size_limit;
    }

    [[nodiscard]] std::string shown_sender() const {
        const auto& sender = about_.envelope->sender;
        return sender.empty() ? "MAILER-DAEMON@" + with_.myhostname : printable(address::quote(sender));
    }

    void headers() {
        put("Date: " + message::format_date(about_.now.tv_sec));
        put("From: Mail Delivery System <MAILER-DAEMON@" + with_.myorigin + '>');
        put("Subject: " + std::string(subject(about_.kind)));
        put("To: " + printable(address::quote(target_.recipient)));
        put(to_postmaster(about_.kind) ? "Auto-Submitted: auto-generated" : "Auto-Submitted: auto-replied");
        put("MIME-Version: 1.0");
        put("Content-Type: multipart/report; report-type=delivery-status;");
        put("\tboundary=\"" + boundary_ + '"');
        put("Content-Transfer-Encoding: 8bit");
        put("");
    }

    void part(std::string_view description, std::string_view type) {
        put("--" + boundary_);
        put("Content-Description: " + std::string(description));
        put("Content-Type: " + std::string(type));
        if (type != "message/delivery-status")
            put("Content-Transfer-Encoding: 8bit");
        put("");
    }

    void explanation() {
        if (to_postmaster(about_.kind)) {
            put("");
            return;
        }
        put("This is the mail system at host " + with_.myhostname + '.');
        put("");
        const auto age = static_cast<long long>(about_.now.tv_sec) - about_.envelope->arrival.tv_sec;
        switch (about_.kind) {
        case kind::delay:
            put("THIS IS ONLY A WARNING. You do not need to send your message again.");
            put("");
            put("For " + span_of_time(age) + " now your message could not be delivered to the");
            put("recipients below. Further attempts will be made until it is " +
                span_of_time(with_.maximal_queue_lifetime) + " old.");
            break;
        case kind::success:
            put("Your message was delivered to the recipients below. Where it was handed to a");
            put("system that sends no such reports, this is the last you hear of it.");
            break;
        case kind::probe:
            put("Below is the report about mail delivery that you asked for.");
            break;
        default:
            put("Your message could not be delivered to the recipients below, and no further");
            put("attempt will be made. The message, or its header, is attached.");
            break;
        }
        put("");
        if (about_.kind == kind::failure || about_.kind == kind::delay) {
            put("If you need help, please write to postmaster and include this report.");
            put("");
        }
        put("                   The mail system");
        put("");
    }

    void recipient_for_people(const queue::log_entry& entry) {
        std::string text = '<' + entry.recipient + '>';
        if (with_.enable_original_recipient && !entry.original_recipient.empty() &&
            !iequals(entry.original_recipient, entry.recipient))
            text += " (expanded from <" + entry.original_recipient + ">)";
        put_folded(text + ": " + entry.reason);
        put("");
    }

    void status() {
        part("Delivery report", "message/delivery-status");
        const std::string own = "X-" + with_.mail_name;
        put("Reporting-MTA: dns; " + with_.myhostname);
        if (!about_.envelope->dsn_envid.empty())
            put("Original-Envelope-Id: " + printable(about_.envelope->dsn_envid));
        put(own + "-Queue-ID: " + about_.queue_id);
        put(own + "-Sender: rfc822; " + shown_sender());
        put("Arrival-Date: " + message::format_date(about_.envelope->arrival.tv_sec));
        for (const auto& entry : about_.entries) {
            put("");
            recipient_for_machines(entry, own);
        }
        put("");
    }

    void recipient_for_machines(const queue::log_entry& entry, const std::string& own) {
        put("Final-Recipient: rfc822; " + printable(entry.recipient));
        if (!entry.dsn_original.empty())
            put("Original-Recipient: " + printable(entry.dsn_original));
        else if (with_.enable_original_recipient && !entry.original_recipient.empty())
            put("Original-Recipient: rfc822; " + printable(entry.original_recipient));
        put("Action: " + printable(about_.kind == kind::failure && entry.action == "delayed" ? "failed"
                                                                                             : entry.action));
        put("Status: " + printable(entry.status));
        if (!entry.mta_type.empty() && !entry.mta_name.empty())
            put("Remote-MTA: " + printable(entry.mta_type) + "; " + printable(entry.mta_name));
        if (!entry.diag_type.empty() && !entry.diag_text.empty())
            put_folded("Diagnostic-Code: " + entry.diag_type + "; " + entry.diag_text);
        else
            put_folded("Diagnostic-Code: " + own + "; " + entry.reason);
        if (entry.action == "delayed" && (about_.kind == kind::delay || about_.kind == kind::postmaster_delay))
            put("Will-Retry-Until: " +
                message::format_date(about_.envelope->arrival.tv_sec +
                                     static_cast<std::time_t>(with_.maximal_queue_lifetime)));
    }

    void original() {
        const bool failed = about_.kind != kind::success && about_.kind != kind::probe;
        part(std::string(failed ? "Undelivered Message" : "Message") + (full_ ? "" : " Headers"),
             full_ ? "message/rfc822" : "text/rfc822-headers");
        put("Return-Path: <" + shown_sender() + '>');
        auto started = about_.original->start_content(
            about_.envelope->data_offset > 0 ? std::optional(about_.envelope->data_offset) : std::nullopt);
        if (!started)
            put("[the message could not be read]");
        bool inside_line = false;
        std::string_view line;
        bool unterminated = false;
        while (started && !failed_) {
            auto more = about_.original->next_line(line, unterminated);
            if (!more) {
                if (inside_line)
                    put("");
                put("[the rest of the message could not be read]");
                inside_line = false;
                break;
            }
            if (!*more)
                break;
            if (!full_ && !inside_line && !message::is_continuation(line) && message::header_name_length(line) == 0)
                break;
            put(line, unterminated);
            inside_line = unterminated;
        }
        if (inside_line)
            put(""); // ends the line that the message left open
        put("");
    }

    const request& about_;
    const settings& with_;
    const line_sink& sink_;
    notice_envelope target_;
    std::string boundary_;
    bool full_ = false;
    std::optional<error> failed_;
};

} // namespace detail

result<void> compose(const request& about, const settings& with, const line_sink& sink) {
    return detail::composer(about, with, sink).run();
}

} // namespace mta::notify
