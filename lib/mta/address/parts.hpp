// The parts of one address, and the change between its internal and external form.
//
// Internal form is what tables, queue files and routing use: no quotes (`john doe@example.com`). External form is what
// SMTP and headers use: the local part quoted where RFC 5321 4.1.2 asks for it (`"john doe"@example.com`). The last
// "@" ends the local part.
//
// No I/O. Views point into the argument. Safe on hostile input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mta::address {

struct address_parts {
    std::string_view local;  // before the last "@", or all of it
    std::string_view domain; // after it; empty when there is none
    bool has_domain = false; // "user@" has one, an empty one
};

[[nodiscard]] address_parts split_address(std::string_view internal) noexcept;

// The user and the extension of a local part at the first of the delimiters: "user+ext" is {"user", "ext"}.
// No extension: nullopt. Whose behaviour it is: postmaster, mailer-daemon and double-bounce are never split, nor is a
// delimiter at the start; with "-" among the delimiters "owner-x" and "x-request" stay whole while
// owner_request_special says so.
struct local_parts {
    std::string_view user;
    std::optional<std::string_view> extension;
    char delimiter = 0; // the one found
};
[[nodiscard]] local_parts split_extension(std::string_view local, std::string_view recipient_delimiter,
                                          bool owner_request_special = true) noexcept;

// Whether the local part must be quoted to stand in a header or an SMTP command. Bytes over 127 need none.
[[nodiscard]] bool needs_quotes(std::string_view local) noexcept;

// External form. An address without a domain is quoted as a local part; the empty one stays empty.
[[nodiscard]] std::string quote(std::string_view internal);

// Internal form: quotes and backslashes of the local part removed. Never fails: broken quoting is taken as it stands.
[[nodiscard]] std::string unquote(std::string_view external);

// The forms above of the local part alone.
[[nodiscard]] std::string quote_local(std::string_view local);

// quote() only where needed, without copying otherwise: storage is used when quotes must be added.
[[nodiscard]] std::string_view quoted_view(std::string_view internal, std::string& storage);

} // namespace mta::address
