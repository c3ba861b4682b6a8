// The text protocol of memcached, as far as a lookup table needs it: "get KEY", "set KEY FLAGS TTL SIZE".
//
// No I/O but through a client_stream. Safe on hostile answers (fuzz_protocols): lines and values are limited, a value
// must be the asked key's, and what comes behind an answer is an error.
#pragma once

#include <optional>
#include <string>

#include <mta/core/result.hpp>
#include <mta/table/client_stream.hpp>

namespace mta::table {

struct memcache_limits {
    std::size_t line = 1024;  // of an answer's first line
    std::size_t data = 10240; // of a value
};

struct memcache_entry {
    std::string key; // without blanks and control bytes
    std::string value;
    long long flags = 0;
    long long ttl = 0;
};

// nullopt when the server does not have the key.
[[nodiscard]] result<std::optional<std::string>> memcache_get(client_stream& server, const std::string& key,
                                                              memcache_limits limits);
// errc::temporary when the server did not store it.
[[nodiscard]] result<void> memcache_set(client_stream& server, const memcache_entry& entry, memcache_limits limits);

} // namespace mta::table
