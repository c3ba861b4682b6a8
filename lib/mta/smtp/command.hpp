// The command grammar of an SMTP server (RFC 5321 4.1, RFC 1870, 6152, 3461): words, paths, ESMTP parameters.
//
// As lenient as the reference is: "MAIL FROM: <a@b>" with blanks, "MAIL FROM:a@b" without brackets (unless
// strict_rfc821_envelopes). Values only, no I/O. Safe on hostile input (fuzz_smtp_server).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::smtp {

// Splits a command line into words: blanks separate, but not within <…> or "…"; the second word also ends at
// its first colon ("FROM:<a@b>" is two words). A bracket or quote that is not closed runs to the end of the
// line.
[[nodiscard]] std::vector<std::string_view> split_command(std::string_view line);

enum class path_policy {
    lenient, // brackets optional
    strict,  // strict_rfc821_envelopes: <address> only
};

// The address of a MAIL FROM or RCPT TO argument in internal form (unquoted local part), without source route
// and comments. "<>" gives an empty string; the caller decides whether that is allowed. errc::malformed for
// bad syntax: two addresses, unbalanced brackets or quotes, an unusable domain.
[[nodiscard]] result<std::string> parse_path(std::string_view argument, path_policy policy);

// xtext of RFC 3461 4: "+3D" for '='. nullopt for bad escapes, control bytes or non-ASCII.
[[nodiscard]] std::optional<std::string> decode_xtext(std::string_view text);
// Printable ASCII except '+' and '=' stays, everything else becomes +XX.
[[nodiscard]] std::string encode_xtext(std::string_view text);

// NOTIFY= as flags; RFC 3461 4.1. Values are those of the queue file (docs/queue-format.md).
enum notify_flag : unsigned { notify_never = 1, notify_success = 2, notify_failure = 4, notify_delay = 8 };
// nullopt for an unknown or repeated word, and for NEVER beside others.
[[nodiscard]] std::optional<unsigned> parse_notify(std::string_view text);

// RET=; values are those of the queue file.
enum ret_flag : unsigned { ret_full = 1, ret_headers = 2 };
[[nodiscard]] std::optional<unsigned> parse_ret(std::string_view text);

} // namespace mta::smtp
