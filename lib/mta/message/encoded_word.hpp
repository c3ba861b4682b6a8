// Encoded words (RFC 2047): text of any character set in header fields of ASCII.
#pragma once

#include <string>
#include <string_view>

namespace mta::message {

// text as words "=?charset?Q?…?=" or "=?charset?B?…?=", in the encoding that needs fewer bytes; with more than one word
// they are parted by "\n " (a folded field). Usable in a phrase and in a comment. A word has at most 75 characters and
// does not end inside a UTF-8 sequence. No I/O.
[[nodiscard]] std::string encoded_words(std::string_view text, std::string_view charset);

} // namespace mta::message
