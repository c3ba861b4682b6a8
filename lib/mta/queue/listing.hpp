// The queue listing: what mailq shows, from the spool or from a showq service.
//
// Listings stream message by message: its memory does not grow with the queue. The codec is the protocol of the
// public/showq socket ("mail_queue_list_protocol").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

struct listed_recipient {
    std::string address; // quoted form; empty_address_recipient for the null address
    std::string reason;  // why it is delayed; empty when nothing was logged
};

struct listed_message {
    std::string queue_name;
    std::string queue_id;
    long long arrival = 0;
    long long size = 0;
    bool forced_expire = false;
    std::string sender; // quoted form
    std::vector<listed_recipient> recipients;
};

class listing_memory;

struct listing_options {
    std::string empty_address = "MAILER-DAEMON"; // empty_address_recipient
    std::size_t duplicate_limit = 1000;          // duplicate_filter_limit
    std::function<void(std::string_view)> warn;  // damaged or unreadable files; may be empty
    unsigned threads = 1;                        // of list_queue
};

// Every complete message, one at a time: maildrop, active, incoming, deferred, hold; directory order inside each.
// Recipients with a logged reason first, then the others in file order. Damaged files are reported to warn and listed
// with what could be read. where must outlive it.
class queue_listing {
public:
    queue_listing(const spool& where, listing_options options);
    queue_listing(queue_listing&&) noexcept;
    queue_listing& operator=(queue_listing&&) noexcept;
    ~queue_listing();

    // The next message, nullopt at the end. Errors: a directory that cannot be read.
    [[nodiscard]] result<std::optional<listed_message>> next();

    // The same as the showq service sends it, from memory where nothing has changed; appended. False: the end. Not to be
    // mixed with next(): one listing, one memory.
    [[nodiscard]] result<bool> append_next(std::string& out, listing_memory& memory);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

// Visits what a queue_listing yields. With more than one thread files are read side by side (warn is never called twice
// at once); the order stays.
[[nodiscard]] result<void> list_queue(const spool& where, const listing_options& options,
                                      const std::function<scan_step(const listed_message&)>& visit);

// The same for one file, which lies at path from directory_fd. nullopt: it is no complete message, or not there.
[[nodiscard]] std::optional<listed_message> list_message(const spool& where, const listing_options& options,
                                                         directory which, int directory_fd, const std::string& path,
                                                         std::string_view id);

// Appends the message as one JSON object, the form of postqueue -j: queue_name, queue_id, arrival_time, message_size,
// forced_expire, sender, recipients (address, delay_reason where there is one).
void append_json(std::string& out, const listed_message& message);

// What the showq service sends: a greeting, each message, the end.
[[nodiscard]] std::string showq_greeting();
[[nodiscard]] std::string showq_message(const listed_message& message);
[[nodiscard]] std::string showq_end();

// Reads what a showq service sends, in pieces of any size. At most 16 MiB of one message are held.
class showq_parser {
public:
    void feed(std::string_view bytes) { pending_.append(bytes); }

    // The next message; nullopt when more bytes are needed, or when finished() is true. errc::bad_listing for
    // anything else than the protocol (3.11's extra attributes are understood).
    [[nodiscard]] result<std::optional<listed_message>> next();
    [[nodiscard]] bool finished() const noexcept { return finished_; }

private:
    std::string pending_;
    std::size_t at_ = 0;
    bool greeted_ = false;
    bool finished_ = false;
};

} // namespace mta::queue
