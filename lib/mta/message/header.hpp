// Header fields: telling a header line from other text, and what the mail system knows about each name.
//
// No I/O, no allocation but where a std::string is returned. Safe on hostile input (fuzz_header).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mta::message {

// The length of the field name when line begins like a header ("Name:", blanks allowed before the colon as in the
// obsolete syntax), 0 when it does not. Printable ASCII but ":" in the name (RFC 5322 2.2).
[[nodiscard]] std::size_t header_name_length(std::string_view line) noexcept;

// Whether a line goes on with the header before it.
[[nodiscard]] constexpr bool is_continuation(std::string_view line) noexcept {
    return !line.empty() && (line.front() == ' ' || line.front() == '\t');
}

enum class header_id : unsigned char {
    other,
    apparently_to,
    bcc,
    cc,
    content_description,
    content_disposition,
    content_id,
    content_length,
    content_transfer_encoding,
    content_type,
    date,
    delivered_to,
    disposition_notification_to,
    errors_to,
    from,
    mail_followup_to,
    message_id,
    mime_version,
    received,
    reply_to,
    resent_bcc,
    resent_cc,
    resent_date,
    resent_from,
    resent_message_id,
    resent_reply_to,
    resent_sender,
    resent_to,
    return_path,
    return_receipt_to,
    sender,
    subject,
    to,
    tls_required,
};

struct header_info {
    header_id id{};
    std::string_view name; // in its usual spelling
    bool sender = false;    // holds sender addresses that are rewritten
    bool recipient = false; // holds recipient addresses that are rewritten
    bool extract = false;   // sendmail -t takes recipients from it
    bool resent = false;    // a Resent- field
    bool drop = false;      // never kept
};

// nullptr for names the mail system does not treat specially. Case does not matter.
[[nodiscard]] const header_info* find_header(std::string_view name) noexcept;

// A logical header split: value begins after the colon and its blanks, and is still folded. nullopt: no header.
struct header_view {
    std::string_view name;
    std::string_view value;
};
[[nodiscard]] std::optional<header_view> split_header(std::string_view logical) noexcept;

// Appends "name: " and a value of format_addresses to out: at each "\n" of value the line goes on after a blank while it
// stays under 70 bytes, else a new line begins with a tab.
void append_folded(std::string& out, std::string_view name, std::string_view value);

// The value with folding removed: each line end goes, the blanks after it stay.
[[nodiscard]] std::string unfold(std::string_view value);

} // namespace mta::message
