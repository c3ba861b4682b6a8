// The right-hand side of an address table: a list of addresses as in a header, to internal form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mta::rewrite {

// "a@x, \"b c\"@y" → {a@x, b c@y}. Names and comments around addresses are dropped.
[[nodiscard]] std::vector<std::string> parse_address_words(std::string_view text);

// user@domain with "+ext" put after user.
[[nodiscard]] std::string add_extension(std::string_view address, std::string_view extension);

} // namespace mta::rewrite
