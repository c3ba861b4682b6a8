// A table of a long-running program, for all its threads.
//
// It notices at most once a second that its file changed, and opens it again; the old content serves until the new one
// is open. A table that cannot be opened now answers "try again later" until it can: a missing file defers mail, it does
// not stop the mail system. A mistake in the name (unknown type, bad syntax) is still an error when it is opened. When a
// changed file can no longer be opened the old content serves on; when only the rights are missing, whoever listens
// (set_unreadable_table_handler) hears of it once.
//
// A table that asks a server has several handles, each with a connection of its own, so that as many threads get answers
// at once; further ones wait for their turn. When no turn comes for a second the server hangs, and they hear "try again
// later" at once: it holds as many threads as there are handles, never all. Handles are opened at once, since rights may
// be given up later; connections are made when they are needed.
//
// Thread-safe, lookups respect patience.hpp: on an event loop a table that would have to wait says so.
#pragma once

#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

// Lookups that one table answers at the same time, when it asks a server.
inline constexpr std::size_t live_table_handles = 8;

[[nodiscard]] result<table_ptr> open_live_table(std::string_view spec, const open_options& options = {});

} // namespace mta::table
