// The envelope of a queued message: everything but its text, from the first and the last segment of the file.
//
// Values only; queue_file reads it, queue_file_writer's callers write it.
#pragma once

#include <sys/time.h>

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/queue/size_record.hpp>

namespace mta::queue {

// NOTIFY bits of a recipient (RFC 3461 4.1); 0 when the client said nothing.
inline constexpr int notify_never = 1;
inline constexpr int notify_success = 2;
inline constexpr int notify_failure = 4;
inline constexpr int notify_delay = 8;

// RET values (RFC 3461 4.3).
inline constexpr int ret_full = 1;
inline constexpr int ret_headers = 2;

// trace_flags values.
inline constexpr int trace_server_probe = 256; // address verification
inline constexpr int trace_user_probe = 512;   // sendmail -bv
inline constexpr int trace_record = 1024;      // sendmail -v: report the first attempt

struct recipient {
    std::string address;      // unquoted, after rewriting
    std::string original;     // before rewriting; empty when no record said so
    std::string dsn_original; // "rfc822;user@example.com", or empty
    int notify = 0;
    long long offset = 0; // of its record, for marking
    bool done = false;    // delivered, bounced or dropped (kept only on request)
};

struct envelope {
    std::optional<size_record> size; // absent in maildrop/
    timeval arrival{};               // from "T"
    long long create_time = 0;       // 0: absent
    std::string sender;              // unquoted; empty is the null sender
    std::string full_name;
    std::string encoding;        // "7bit", "8bit" or empty
    std::string rewrite_context; // "local", "remote" or empty
    std::string dsn_envid;
    int dsn_ret = 0;
    std::string content_filter; // transport:nexthop
    std::string inspector;
    std::string redirect; // when set, the one and only recipient
    std::string verp;     // two characters
    std::string errors_to;
    long long warn_time = 0;   // "W": when the next delay warning is due
    long long warn_offset = 0; // of that record; 0: absent
    int trace_flags = 0;
    long long trace_flags_offset = 0; // of its record, for kill_record(); 0: absent
    // Every other named attribute in file order: log_client_name, client_address, sasl_username …
    std::vector<std::pair<std::string, std::string>> attributes;
    std::vector<recipient> recipients;
    bool more_recipients = false; // the limit of the call was reached; later ones are still unread
    std::size_t done_recipients = 0;
    long long data_offset = 0; // of the first content record
    long long content_end = 0; // of the "X" record

    // The value of one of attributes, or empty. The view lasts as long as the envelope.
    [[nodiscard]] std::string_view attribute(std::string_view name) const noexcept {
        for (const auto& [key, value] : attributes)
            if (key == name)
                return value;
        return {};
    }
};

struct envelope_options {
    std::size_t recipient_limit = std::numeric_limits<std::size_t>::max();
    bool keep_done = false; // hand out done recipients too
    bool attributes = true; // false: what "A", "F" and "O" records say is of no interest (a listing)
};

} // namespace mta::queue
