// The bounce, defer and trace logs of a message: one text file of the message's name, a paragraph per recipient.
//
// Writers append whole paragraphs under an exclusive lock. Reading is safe on hostile input: unknown names are
// skipped, control bytes never start a line of ours (append masks them).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

struct log_entry {
    std::string recipient; // as printed: quoted form
    std::string original_recipient;
    long long offset = 0; // of its queue-file record; 0: unknown
    std::string dsn_original;
    int notify = 0;
    std::string status; // "4.2.2"
    std::string action; // failed, delayed, delivered, relayed, expanded, deliverable, undeliverable
    std::string diag_type;
    std::string diag_text;
    std::string mta_type;
    std::string mta_name;
    std::string reason;
};

enum class durability { buffered, flushed };
enum class log_style { plain, with_old_line }; // backwards_bounce_logfile_compatibility

// One paragraph as it is written.
[[nodiscard]] std::string format_log_entry(const log_entry& entry, log_style style = log_style::with_old_line);

// Appends all entries with one write to bounce/, defer/ or trace/. Waits for the lock. With flushed, fsync before
// it answers: only then may a recipient be marked done.
[[nodiscard]] result<void> append_log(const spool& where, directory which, std::string_view id,
                                      std::span<const log_entry> entries, durability how = durability::flushed,
                                      log_style style = log_style::with_old_line);

// The entries of a log's text. which decides what a missing status and action mean: 4.0.0 delayed in defer/,
// 5.0.0 failed elsewhere.
[[nodiscard]] std::vector<log_entry> parse_log(std::string_view text, directory which);

// Calls visit for each entry in order, in constant memory. False: there is no such log.
[[nodiscard]] result<bool> read_log(const spool& where, directory which, std::string_view id,
                                    const std::function<void(log_entry&&)>& visit);

// The same for a listing, which has no use for the other fields and reads many logs. status, when given, is that of the
// file before it is read.
using reason_visitor = std::function<void(std::string&& recipient, std::string&& reason)>;
[[nodiscard]] result<bool> read_reasons(const spool& where, directory which, std::string_view id,
                                        const reason_visitor& visit, struct stat* status = nullptr);

// All entries; empty when there is no log.
[[nodiscard]] result<std::vector<log_entry>> read_log(const spool& where, directory which, std::string_view id);

} // namespace mta::queue
