// The kinds of damage and refusal that the queue knows, one value each, so that a log line and a test can name them.
//
// Damage (is_damage) is permanent: the file belongs in corrupt/. Everything else that goes wrong with a queue file
// is a system error or one of mta::errc.
#pragma once

#include <system_error>

#include <mta/core/result.hpp>

namespace mta::queue {

enum class errc {
    bad_id = 1,        // a file name that no queue ID can be
    truncated_record,  // the file ends inside a record
    bad_length,        // a length of more than five groups, or one that overflows
    record_too_long,   // a record over the limit
    unexpected_record, // a type that its segment does not allow
    null_in_record,    // a NUL in a record that may not have one
    bad_size_record,   // "C" that is not three to six decimals, or points outside the file
    bad_time,          // "T" that is not a time
    bad_attribute,     // "A" without a name
    bad_pointer,       // "p" that is no number or points outside the file
    pointer_loop,      // pointers that lead round in a circle
    no_arrival_time,   // the envelope has no "T"
    no_sender,         // the envelope has no "S"
    second_sender,     // the envelope has two
    early_recipient,   // a recipient before the sender
    missing_end,       // no "E" record: the file was never completed
    not_a_queue_file,  // the first byte is no envelope record
    not_regular,       // a directory, FIFO, symbolic link or device
    not_a_recipient,   // asked to mark a record that is no recipient
    incomplete,        // the mode says that it is still being written
    bad_log,           // a bounce, defer or trace log that cannot be read
    bad_listing,       // a queue listing that breaks its protocol
    bad_criterion,     // a selection of messages that cannot be understood
};

[[nodiscard]] std::error_code make_error_code(errc value) noexcept;

// Whether the code says that the file itself is broken, so that trying again cannot help.
[[nodiscard]] bool is_damage(const std::error_code& code) noexcept;

} // namespace mta::queue

template <>
struct std::is_error_code_enum<mta::queue::errc> : std::true_type {};
