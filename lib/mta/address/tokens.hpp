// The tokens of structured header fields (RFC 5322 3.2, with the obsolete forms of 4), and the addresses in them.
//
// A field value becomes a flat list of items: single tokens, and whole addresses (what stands between "<" and ">", or
// a bare local@domain). Item by item the list can be put together again, so that one address may be replaced while
// names, comments, groups and order stay.
//
// Nothing is refused: odd input becomes odd tokens, as mail systems have always done. Work is linear in the input and
// bounded by limit tokens. No I/O. Safe on hostile input (fuzz_address).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mta::address {

enum class item_kind : unsigned char {
    atom,           // also bytes over 127
    quoted_string,  // text without quotes and backslashes
    domain_literal, // text with its brackets
    comment,        // text with its parentheses
    special,        // one character: , ; : . < > @ and so on
    address,        // a whole address in external form, without angle brackets and comments; may be empty ("<>")
    group_start,    // ":" that opens a group
};

struct item {
    item_kind kind{};
    std::string text;

    friend bool operator==(const item&, const item&) = default;
};

using item_list = std::vector<item>;

// Splits a field value (the part behind "Name:", folded or not). A source route ("@a,@b:c@d") in angle brackets is part
// of its address. Comments inside an address come after it. limit bounds the tokens taken; what follows is cut off
// (header_address_token_limit).
[[nodiscard]] item_list parse_addresses(std::string_view value, std::size_t limit = 10240);

// The single tokens only, without addresses and groups: every ":" is special, and so is what more_specials lists.
[[nodiscard]] item_list scan_tokens(std::string_view value, std::size_t limit = 10240,
                                    std::string_view more_specials = {});

// The value put together again, as it goes behind "Name: ": one blank between words, and each "," between addresses
// followed by "\n", the place where the line may be folded (message::append_folded).
[[nodiscard]] std::string format_addresses(const item_list& items);

// Just the addresses, in internal form, empty ones ("<>") included.
[[nodiscard]] std::vector<std::string> addresses_in(std::string_view value, std::size_t limit = 10240);

// The first address of a value such as `Joe <joe@example.com> (home)`, in internal form; "" when there is none.
[[nodiscard]] std::string first_address(std::string_view value);

// One address as it may be typed on a command line or in a table, in internal form: comments, quotes and angle
// brackets are understood; of several addresses the first counts.
[[nodiscard]] std::string to_internal(std::string_view typed);

} // namespace mta::address
