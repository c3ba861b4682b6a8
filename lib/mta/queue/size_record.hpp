// The size record: the first 97 bytes of a cleaned queue file, always of the same length and rewritten in place.
//
// No I/O. Safe on hostile input.
#pragma once

#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/queue/errc.hpp>

namespace mta::queue {

struct size_record {
    long long content_size = 0; // bytes of the content segment on disk; what mailq shows
    long long data_offset = 0;  // of the first content record
    long long recipients = 0;
    long long hints = 0;          // hint_mixed, plus 2 × (OR of the recipients' notify flags)
    long long content_length = 0; // bytes of the text's records wherever they stand; content_size unless edited
    long long send_options = 0;   // sendopt_* bits

    friend bool operator==(const size_record&, const size_record&) = default;
};

inline constexpr long long hint_mixed = 1; // recipients stand between other records: read the whole envelope

inline constexpr long long sendopt_smtputf8 = 1; // the client asked for SMTPUTF8
inline constexpr long long sendopt_utf8_header = 2;
inline constexpr long long sendopt_utf8_sender = 4;
inline constexpr long long sendopt_utf8_recipient = 8;
inline constexpr long long sendopt_no_require_tls = 16; // "TLS-Required: no" (RFC 8689)
inline constexpr long long sendopt_require_tls = 32;

inline constexpr std::size_t size_record_data = 95;  // bytes of data
inline constexpr std::size_t size_record_bytes = 97; // with type and length

// The data, 95 bytes.
[[nodiscard]] std::string format_size_record(const size_record& fields);

// Three to six decimals; the missing ones are 0, and so is -1, the "not known yet" of maildrop/.
// Errors: bad_size_record (also for other negative values).
[[nodiscard]] result<size_record> parse_size_record(std::string_view data);

} // namespace mta::queue
