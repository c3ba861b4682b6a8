// postcat --json and --raw: a queued message as a program reads it, or as the next hop gets it.
//
// Unlike the listing of records these read the file as the mail system does: a damaged file is an error, not
// a warning.
#pragma once

#include <cstdio>
#include <string>

#include <mta/core/result.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::postcat {

// The text, lines ended by LF.
[[nodiscard]] result<void> print_raw(queue::queue_file& file, std::FILE* out);

// One JSON object on one line. Members: file, message_size, arrival_time, create_time, sender, then what is
// there of full_name, encoding, rewrite_context, envelope_id, ret_flags, content_filter, inspector,
// redirect_to, verp_delimiters, errors_to, warn_time, trace_flags; attributes (an object of the others),
// recipients (address; original, dsn_original, notify_flags where they are; done), and, unless envelope_only,
// text. Text that is not UTF-8 is text_base64 instead.
[[nodiscard]] result<void> print_json(queue::queue_file& file, const std::string& name, bool envelope_only,
                                      std::FILE* out);

} // namespace mta::postcat
