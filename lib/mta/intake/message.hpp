// One message on its way into the queue: envelope and headers completed, addresses rewritten, aliases expanded, limits
// kept, the queue file written. Used for SMTP, pickup, notices, forwards and foreign clients of public/cleanup.
//
//     auto message = intake_message::begin(context, std::move(request));
//     message->recipient({.address = "user@example.com"}); …
//     message->content_line(line, false); …           // header, empty line, body
//     auto verdict = message->finish();                // file complete and marked, not flushed
//     if (verdict && verdict->accepted()) message->sync();   // flushed: now say 250
//
// Streaming: memory is a header and a write buffer, whatever the size of the message. A call that fails with an error
// is about this host (disk, table): temporary. What is wrong with the message is the verdict's. After the first
// problem further lines are taken and dropped, so that a caller may look once, at finish(). A message that was not
// synced (or kept) is removed by the destructor. Not thread-safe; any call may run on another thread.
//
// On a thread that may not wait (table/patience.hpp) a call that needed to wait fails and has done nothing yet: the caller
// makes the same call again on a thread that may.
#pragma once

#include <sys/time.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/intake/context.hpp>
#include <mta/queue/queue_file_writer.hpp>

namespace mta::intake {

enum class origin {
    smtp,    // from the network: the engine writes the client attributes and "Received: from …"
    local,   // pickup: "Received: by HOST (Postfix, from userid N)"
    notice,  // bounces and other mail of our own: "Received: by HOST (Postfix)"
    foreign, // a client of public/cleanup, or a forward: the client's own records and its own "Received:"
};

enum class rewrite_context { local, remote };

// What is known about an SMTP client. Empty strings of the first block mean "unknown" to log readers.
struct client_info {
    std::string name = "unknown"; // verified
    std::string reverse_name = "unknown";
    std::string address = "unknown"; // "127.0.0.1", "::1"
    std::string port = "unknown";
    std::string helo;
    std::string protocol = "SMTP"; // ESMTP, ESMTPS …: for Received and attributes
    std::string server_address;
    std::string server_port;
    int address_type = 2; // AF_INET or AF_INET6
    std::string sasl_method;
    std::string sasl_username;
    std::string sasl_sender;
    std::string tls_trace; // extra text for Received, see message::smtp_trace
};

struct intake_request {
    intake::origin origin = origin::smtp;
    rewrite_context context = rewrite_context::remote;
    std::string sender;    // internal form; empty for the null sender
    std::string full_name; // of a local sender
    std::string encoding;  // "7bit", "8bit" or "": not said
    std::string dsn_envelope_id;
    int dsn_ret = 0;       // 1 full, 2 headers
    int trace_flags = 0;   // sendmail -bv, -v
    std::string verp;      // two characters, or empty
    client_info client;
    unsigned long uid = 0; // local: who submitted
    bool map_addresses = true;    // canonical and virtual alias lookups; notices to the sender skip them
    bool add_always_bcc = true;
    bool smtputf8 = false;
    timeval arrival{}; // {0,0}: now
    std::string content_filter; // "transport:nexthop", or empty: whoever receives has a content_filter or none
    std::vector<std::pair<std::string, std::string>> attributes; // further "A" records, in order (XFORWARD, foreign)
};

struct intake_recipient {
    std::string address;      // internal form
    std::string original;     // before rewriting; empty: the same as address
    std::string dsn_original; // "rfc822;user@example.com" or empty
    int notify = 0;           // 1 never, 2 success, 4 failure, 8 delay (sum)
};

// Bits of the answer that cleanup clients know (docs/queue-format.md, submission).
enum intake_status : unsigned {
    status_ok = 0,
    status_bad = 1,
    status_write = 2,
    status_size = 4,
    status_content = 8,
    status_hops = 16,
    status_no_recipients = 64,
    status_temporary = 256,
};

struct verdict {
    unsigned status = status_ok; // intake_status bits
    int smtp_code = 250;
    std::string dsn = "2.0.0";
    std::string text; // without code; for the client and the log

    [[nodiscard]] bool accepted() const noexcept { return status == status_ok; }
    [[nodiscard]] bool temporary() const noexcept { return smtp_code / 100 == 4; }
};

class intake_message {
public:
    // Creates the queue file (mode 0600) in incoming/. context must outlive the message.
    [[nodiscard]] static result<intake_message> begin(intake_context& context, intake_request request);
    // The same in two steps, for clients that are told the queue ID before they say anything. file is a fresh one in
    // incoming/; describe() comes once, before everything else.
    [[nodiscard]] static intake_message begin_in(intake_context& context, queue::queue_file_writer file);
    [[nodiscard]] result<void> describe(intake_request request);

    intake_message(intake_message&&) noexcept;
    intake_message& operator=(intake_message&&) noexcept;
    ~intake_message(); // removes the file unless sync() or keep() succeeded

    [[nodiscard]] const std::string& queue_id() const noexcept;

    // One envelope recipient; allowed before the first line and after end_content() (recipients from headers).
    [[nodiscard]] result<void> recipient(const intake_recipient& to);
    // A recipient that an earlier stage has done with ("D" record), kept for the record.
    [[nodiscard]] result<void> done_recipient(const intake_recipient& to);

    // One line of the message without its line end. unterminated: more of the same line follows in the next call.
    [[nodiscard]] result<void> content_line(std::string_view line, bool unterminated = false);

    // No more lines. Only needed when recipients follow.
    [[nodiscard]] result<void> end_content();

    // Writes what is left and, when the message is good, END and the commit mark (mode 0700). Logs
    // "ID: message-id=<…>". Nothing is flushed to disk.
    [[nodiscard]] result<verdict> finish();

    // After an accepting finish(): fsync. The message is ours once this succeeds; an error is final and removes it.
    [[nodiscard]] result<void> sync();
    // After an accepting finish(): leaves the file without a flush (mail whose loss is repaired by its source).
    [[nodiscard]] result<void> keep();

    // Whether content goes nowhere any more (a limit was passed, the disk is full): reading on is only politeness.
    [[nodiscard]] bool doomed() const noexcept;

    // Bytes of text so far, one per line end.
    [[nodiscard]] long long content_length() const noexcept;

    struct engine;

private:
    explicit intake_message(std::unique_ptr<engine> begun);
    std::unique_ptr<engine> engine_;
};

} // namespace mta::intake
