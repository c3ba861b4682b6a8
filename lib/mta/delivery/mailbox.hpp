// Delivers one message into one mailbox file (mbox) or mailbox directory (maildir), as the user that runs.
//
// A job says everything that the writer needs, so that it can travel to a helper process that runs as the mailbox's
// owner. The writer decides nothing about addresses, reads no configuration and never changes its user.
//
// Delivered means durable: the file is flushed, and so is the directory entry of a file that is new. After any
// failure the mailbox holds what it held before (a new mbox may stay, empty). The mbox itself, tmp/, new/ and cur/ are
// never reached through a symbolic link; a maildir's own name may be one. Blocks on I/O and, for mbox, on locks. Formats: docs/queue-format.md, "Mailbox formats".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/delivery/request.hpp>

namespace mta::delivery {

// What became of one attempt, for the log and for the sender. The dsn's first digit agrees with the outcome.
struct status {
    delivery::outcome outcome = delivery::outcome::deferred;
    std::string dsn;    // "2.0.0"
    std::string reason; // "delivered to maildir"
    // For the sender's report, where it says something else than reason: "x-unix" and the text of an exit status.
    std::string diag_type{};
    std::string diag_text{};

    [[nodiscard]] bool delivered() const noexcept { return outcome == delivery::outcome::delivered; }
};
[[nodiscard]] status sent(std::string reason);
[[nodiscard]] status defer(std::string dsn, std::string reason);
[[nodiscard]] status bounce(std::string dsn, std::string reason);

enum class mailbox_style { mbox, maildir };
enum class file_lock { fcntl, flock, dotlock };

// Reads a list such as "fcntl, dotlock". An unknown word is errc::malformed.
[[nodiscard]] result<std::vector<file_lock>> parse_locks(std::string_view list);

struct mailbox_job {
    mailbox_style style = mailbox_style::mbox;
    std::string path;         // absolute; a trailing slash of a maildir does not matter
    std::string hostname;     // last part of a maildir name
    std::string sender;       // for From_ and Return-Path; empty is the null sender
    std::string original;     // X-Original-To; empty leaves the header out
    std::string delivered_to; // Delivered-To; empty leaves the header out
    long long data_offset = 0; // of the first content record in the queue file
    long long limit = 0;       // bytes that an mbox may have, or one maildir file; 0 = no limit
    std::vector<file_lock> locks = {file_lock::fcntl, file_lock::dotlock};
    int lock_attempts = 20;
    int lock_delay = 1;      // seconds between attempts
    int stale_lock_time = 500;
    bool dotlock_may_fail = false; // go on when the directory does not let us create the dotlock
    bool strict_owner = true;      // an mbox of another owner is refused
    // What waiting does not mend (a link, a missing permission) is a bounce, as local(8) does, and not a deferral,
    // as virtual(8) does. Trouble of the machine (EIO, EROFS, no memory) defers either way.
    bool refusals_bounce = false;
};

// Copies the content of the queue file (any readable descriptor; its file position is not used) into the mailbox.
[[nodiscard]] status deliver_to_mailbox(const mailbox_job& job, int queue_file);

// The lines put before the message: Return-Path, X-Original-To, Delivered-To, each ended by a newline.
[[nodiscard]] std::string mailbox_headers(const mailbox_job& job);
// "From sender  Thu Jan  1 00:00:00 1970\n" in local time.
[[nodiscard]] std::string from_line(std::string_view sender, long long when);

} // namespace mta::delivery
