// What postconf was asked to do: the words of the command line, checked for combinations that make no sense.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>

namespace mta::postconf {

struct options {
    std::set<char> letters;     // -d, -n, -M …; a main.cf listing or edit has 'p'
    config::overrides settings; // -o
    std::string classes = "all";
    std::string capability; // -T
    std::optional<std::string> directory_option;
    std::vector<std::string> words;

    // Long options, and -j and -q.
    bool json = false;
    bool quiet = false; // no warnings about parameters
    bool origin = false;
    bool explain = false;
    bool check = false;
    std::vector<std::string_view> long_words;

    // Found with the options above.
    std::string directory;

    [[nodiscard]] bool has(char letter) const { return letters.contains(letter); }
    [[nodiscard]] bool editing() const { return has('e') || has('X') || has('#'); }
};

// Reads args. What is wrong ends the process, as in the reference: `specify one of -d -n`,
// `with option -M, do not specify -d`, the usage line.
[[nodiscard]] options read_options(std::span<const char* const> args, config::command_log& log);

// Stops when two of the options exclude each other. -e is implied by a first word with '='; a listing of main.cf is
// implied by no mode at all.
void check_combination(options& opt, config::command_log& log);

} // namespace mta::postconf
