// What is asked of a key before a table's server hears of it: parameter domain, and bytes that no such table holds.
//
// A key with a NUL or with invalid UTF-8 is never sent: no entry can match it, and quoting it depends on the server.
#pragma once

#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/client_settings.hpp>
#include <mta/table/match_list.hpp>

namespace mta::table {

// Whether a server may be asked for this key at all. Warns of invalid UTF-8, naming the table.
[[nodiscard]] bool is_sendable(std::string_view key, std::string_view table_name);

class key_filter {
public:
    // Reads parameter domain: a list as in main.cf. With it only user@domain with a domain of the list is looked up.
    [[nodiscard]] static result<key_filter> open(const client_settings& settings);

    // false: the key is not in the table. The error is about a list that could not be asked.
    [[nodiscard]] result<bool> accepts(std::string_view key, std::string_view table_name);

private:
    match_list domains_;
};

} // namespace mta::table
