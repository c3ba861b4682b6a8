// Openers of the built-in table types; registry.ipp lists them. name is what follows "type:".
#pragma once

#include <string>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

// Berkeley DB: NAME.db. Keys with and without a trailing NUL are tried, and what worked first is kept to.
[[nodiscard]] result<table_ptr> open_hash(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_btree(const std::string& name, const open_options& options);

// A text file that is read whole when it is opened.
[[nodiscard]] result<table_ptr> open_texthash(const std::string& name, const open_options& options);
// "{ key = value, { key = value with blanks } }" in the name itself.
[[nodiscard]] result<table_ptr> open_inline(const std::string& name, const open_options& options);
// The same value for every key; "{ value with blanks }" without its braces.
[[nodiscard]] result<table_ptr> open_static(const std::string& name, const open_options& options);
// POSIX regular expressions with flags, if/endif, negation and $1 substitution.
[[nodiscard]] result<table_ptr> open_regexp(const std::string& name, const open_options& options);
// unix:passwd.byname and unix:group.byname.
[[nodiscard]] result<table_ptr> open_unix(const std::string& name, const open_options& options);
// Default alias_maps name nis:mail.aliases. Where no NIS domain is set nothing is found, as everywhere; where one is
// set the type is refused, since NIS is not built here.
[[nodiscard]] result<table_ptr> open_nis(const std::string& name, const open_options& options);
// Every lookup is "try again later": for tests of what depends on tables.
[[nodiscard]] result<table_ptr> open_fail(const std::string& name, const open_options& options);
// Environment variables of the process.
[[nodiscard]] result<table_ptr> open_environ(const std::string& name, const open_options& options);

// Servers on the network; network_protocols.hpp tells the formats. These may block.
[[nodiscard]] result<table_ptr> open_tcp(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_socketmap(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_memcache(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_redis(const std::string& name, const open_options& options);
// name is "type:name". Through the proxymap service where one runs, else in this process.
[[nodiscard]] result<table_ptr> open_proxy(const std::string& name, const open_options& options);

} // namespace mta::table
