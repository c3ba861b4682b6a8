// Composes the notices of the mail system: returned mail, delay warnings, delivery reports.
//
// A notice is a multipart/report message (RFC 3461, 3462, 3464): a text for people, a machine part (delivery-status)
// and the original message or its headers. This header makes the text line by line; it queues nothing, opens no file
// but reads the original message that it is given. docs/queue-format.md describes the logs it works from.
//
// The rule of silence: a message from the null sender is never bounced; what cannot be returned goes once to the
// postmaster from double_bounce_sender, and a message from that address to nobody.
#pragma once

#include <sys/time.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::config {
class configuration;
}

namespace mta::notify {

enum class kind {
    failure,  // "Undelivered Mail Returned to Sender"
    delay,    // "Delayed Mail (still being retried)"
    success,  // "Successful Mail Delivery Report": NOTIFY=SUCCESS, sendmail -v
    probe,    // "Mail Delivery Status Report": sendmail -bv and -v
    postmaster_failure, // "Postmaster Copy: Undelivered Mail" (notify_classes bounce), headers only
    postmaster_delay,   // notify_classes delay
    double_bounce,      // the notice could not go to the sender: to the postmaster
};

// The parameters that matter here, so that the composer needs no configuration object.
struct settings {
    std::string myhostname;
    std::string mail_name = "Postfix";
    std::string double_bounce_sender = "double-bounce"; // local part; $myhostname is appended
    std::string myorigin;
    std::string bounce_notice_recipient = "postmaster"; // kind::postmaster_failure
    std::string double_bounce_recipient = "postmaster"; // 2bounce_notice_recipient
    std::string delay_notice_recipient = "postmaster";
    long long bounce_size_limit = 50000; // of the original in the notice; 0: none
    long long maximal_queue_lifetime = 5LL * 86400;
    bool enable_original_recipient = true;
};
[[nodiscard]] settings settings_from(const config::configuration& cfg);

enum class destination { sender, postmaster, nobody };

// Who is told that this message failed: its sender; for the null sender the postmaster; for double_bounce_sender
// nobody.
[[nodiscard]] destination failure_destination(std::string_view sender, const settings& with);

struct request {
    notify::kind kind = kind::failure;
    std::string queue_id;               // of the original message
    std::string notice_id;              // of the notice: its boundary and Message-ID are made of it
    const queue::envelope* envelope = nullptr; // of the original
    std::span<const queue::log_entry> entries;  // the recipients reported: see entries_for
    queue::queue_file* original = nullptr;      // its text; may be null when it cannot be read
    timeval now{};
};

// The entries a notice of this kind is about, by the recipients' NOTIFY bits (RFC 3461 4.1): none left means that no
// notice is due. 0 is "failure and delay".
[[nodiscard]] std::vector<queue::log_entry> entries_for(notify::kind kind, std::span<const queue::log_entry> entries);

// The envelope of the notice.
struct notice_envelope {
    std::string sender;    // empty, or double_bounce_sender@myhostname
    std::string recipient; // internal form
};
[[nodiscard]] notice_envelope envelope_of(const request& about, const settings& with);

// Yields the notice's lines without line ends; a line that is unterminated goes on with the next call. The
// sink's error ends the work and is returned. Trouble with reading the original is said in the notice, no error.
// The Received header is the caller's (intake).
using line_sink = std::function<result<void>(std::string_view line, bool unterminated)>;
[[nodiscard]] result<void> compose(const request& about, const settings& with, const line_sink& sink);

} // namespace mta::notify
