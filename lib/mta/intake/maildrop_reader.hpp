// Takes one file of local submission from maildrop/ into the queue: what the pickup service does with each name.
//
// The file is another user's: it is opened without following links, must be a regular file with one name, and only the
// record types that a submission may hold pass. Its owner is the submitting user. A damaged file
// is a permanent error: logged, mailed to nobody, moved to corrupt/. Also understands files that `postsuper -r` moved
// into maildrop/ (size, pointer and done records).
//
// Blocks on disk: the committed queue file is flushed before the maildrop file goes.
#pragma once

#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/intake/context.hpp>
#include <mta/queue/spool.hpp>

namespace mta::intake {

enum class pickup_result {
    queued,     // in incoming/ and durable; the maildrop file is gone
    not_ready,  // still being written, or still being delivered (postsuper -r), or gone already
    finished,   // put here again, but every recipient has been served meanwhile; removed, and logged
    refused,    // never acceptable; moved to corrupt/ or removed, and logged
    keep,       // trouble of ours: the file stays, try again later
};

struct pickup_outcome {
    pickup_result result{};
    std::string queue_id; // of the new message, when queued
    std::string reason;   // when not
};

// The error is about the host (maildrop/ cannot be read); trouble with this one file is an outcome.
// Logs "ID: uid=N from=<sender>" with log (tag "postfix/pickup").
[[nodiscard]] result<pickup_outcome> take_maildrop_file(intake_context& context, const logger& log,
                                                        const queue::spool& where, std::string_view name);

} // namespace mta::intake
