// The parameters that a table of a database server takes, from its own file or, as NAME_parameter, from main.cf.
//
//     virtual_alias_maps = ldap:people        main.cf: people_server_host = …
//
// Only names are here, so that postconf can tell a parameter that serves a table from one that serves nobody; what
// they mean is known to the table types.
#pragma once

#include <span>
#include <string_view>

namespace mta::config {

// The names for a table type ("ldap", "mysql", "pgsql", "sqlite", "memcache"); empty for types without.
[[nodiscard]] std::span<const std::string_view> table_settings(std::string_view type) noexcept;

} // namespace mta::config
