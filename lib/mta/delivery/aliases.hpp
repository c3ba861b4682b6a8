// The right-hand side of aliases(5), of .forward and of :include: files: a list of destinations.
//
//     user, "first last"@example.com (comment), \user, /file/name, "|command arg", :include:/file/name
//
// Parses only: looks nothing up, opens nothing. Safe on hostile input: work is linear in its length.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mta::delivery {

enum class destination_kind { address, file, command, include };

struct destination {
    destination_kind kind = destination_kind::address;
    // address: internal form, perhaps with a leading backslash; file and include: the path; command: the command line
    std::string value;
    bool operator==(const destination&) const = default;
};

// Reads a list of destinations, separated by commas. Nothing is refused: odd text becomes odd addresses, which then
// turn out to be unknown, as mail systems have always done. An unterminated quote ends with the text.
[[nodiscard]] std::vector<destination> parse_destinations(std::string_view text);

// The same for files (:include:, .forward), where each line is a list of its own and "#" starts a comment line.
[[nodiscard]] std::vector<destination> parse_destination_file(std::string_view text);

} // namespace mta::delivery
