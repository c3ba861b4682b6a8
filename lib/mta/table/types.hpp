// Openers of the built-in table types; registry.ipp lists them. name is what follows "type:".
#pragma once

#include <string>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

using opener = result<table_ptr>(const std::string& name, const open_options& options);

// Berkeley DB: NAME.db. Keys with and without a trailing NUL are tried, and what worked first is kept to.
opener open_hash, open_btree;
// LMDB: NAME.lmdb. Every lookup is a transaction of its own, so that other processes' changes are seen at once.
opener open_lmdb;
// Constant database: NAME.cdb, mapped into memory. The format is public; docs/cdb-format.md has it.
opener open_cdb;

// A text file that is read whole when it is opened.
opener open_texthash;
// "{ key = value, { key = value with blanks } }" in the name itself.
opener open_inline;

// Rules in order: POSIX and Perl-style expressions with flags, if/endif, negation and $1; networks.
opener open_regexp, open_pcre, open_cidr;

// All answers of several tables; the answer of one as the key of the next; one of some values.
opener open_unionmap, open_pipemap, open_randmap;

// The same value for every key; "{ value with blanks }" without its braces.
opener open_static;
// unix:passwd.byname and unix:group.byname.
opener open_unix;
// Environment variables of the process.
opener open_environ;
// Empty, as internal: is to whoever did not fill it.
opener open_internal;
// Every lookup is "try again later": for tests of what depends on tables.
opener open_fail;
// debug:TYPE:NAME answers as TYPE:NAME and logs each lookup.
opener open_debug;
// Default alias_maps name nis:mail.aliases. Where no NIS domain is set nothing is found, as everywhere; where one is set the
// module of that name answers.
opener open_nis;

// Servers on the network; network_protocols.hpp tells the formats. These may block.
[[nodiscard]] result<table_ptr> open_tcp(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_socketmap(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_memcache(const std::string& name, const open_options& options);
[[nodiscard]] result<table_ptr> open_redis(const std::string& name, const open_options& options);
// name is "type:name". Through the proxymap service where one runs, else in this process.
[[nodiscard]] result<table_ptr> open_proxy(const std::string& name, const open_options& options);

} // namespace mta::table
