// One row of the parameter table, and the typed keys that name a row in code.
//
// The table itself is parameters.txt; a script turns it into <mta/config/parameters.hpp> (the keys, for example
// param::message_size_limit) and into the rows, which are compiled once. Nothing else spells a parameter's name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace mta::config {

enum class kind : std::uint8_t {
    text,    // a string, $-expanded
    raw,     // a string that its user expands later
    yes_no,  // yes or no
    integer, // a decimal number within [low, high]
    time,    // a number and a unit s m h d w; the unit of the default is the default unit
    list,    // words separated by blanks and commas, {…} kept together, $-expanded
};

struct parameter {
    std::string_view name;
    std::string_view initial; // the default as `postconf -d` shows it, unexpanded; computed ones are empty here
    std::string_view acts;    // who acts on it, "" when nobody does yet
    std::string_view users;   // the programs and commands that use it, with commas; "all", or "" for none
    std::string_view help;    // one line
    long long low;
    long long high;
    kind type;
    bool computed; // the default comes from the host (myhostname, mynetworks …)
    char unit;     // default unit of a time
};

// All rows, sorted by name (byte order).
[[nodiscard]] std::span<const parameter> parameters() noexcept;

// The rows that stand for a parameter of every service ("_destination_recipient_limit"); name is the suffix.
[[nodiscard]] std::span<const parameter> parameter_families() noexcept;

// The row number of a name, or nullopt for a name that is no built-in parameter.
[[nodiscard]] std::optional<std::uint16_t> find_parameter(std::string_view name) noexcept;

// A row number whose type says what the value is.
template <kind Kind>
struct key {
    std::uint16_t row;
};

using text_param = key<kind::text>;
using raw_param = key<kind::raw>;
using yes_no_param = key<kind::yes_no>;
using integer_param = key<kind::integer>;
using time_param = key<kind::time>;
using list_param = key<kind::list>;

} // namespace mta::config
