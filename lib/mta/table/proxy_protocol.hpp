// The proxymap services as a client sees them: another process holds a table, answers for it and changes it. Attribute lists
// over a Unix socket (docs/table-protocols.md): "request=open table=TYPE:NAME flags=N", then "request=lookup … key=KEY"
// and the like; each answer has a status.
//
// Blocks on I/O, within the connection's limit. What comes back is bounded, and otherwise not trusted.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>
#include <mta/table/client_stream.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {

enum class proxy_status : int { found = 0, absent = 1, retry = 2, mistake = 3, denied = 4, misconfigured = 5 };

// Bits of the flags: a client's, for how keys are stored (both or neither: whatever is usual) and that a key is UTF-8; and
// those of an open table.
namespace proxy_flag {
inline constexpr long long keys_without_nul = 4;
inline constexpr long long keys_with_nul = 8;
inline constexpr long long keys_in_utf8 = 524'288;
inline constexpr long long fixed_keys = 16;
inline constexpr long long pattern_keys = 32;
} // namespace proxy_flag

using proxy_fields = std::map<std::string, std::string>;

// "" and retry where the list does not say.
[[nodiscard]] std::string proxy_field(const proxy_fields& of, const std::string& name);
[[nodiscard]] proxy_status status_of(const proxy_fields& of);

// How the table is to be opened, and how a key is meant, as the reference's clients say it.
[[nodiscard]] long long proxy_open_flags(const open_options& options);
[[nodiscard]] long long proxy_request_flags(const open_options& options);

// Where that service listens. The second place is where the first one is after chroot(2) to the queue directory.
[[nodiscard]] std::vector<std::string> proxy_sockets(const config::configuration& cfg, const std::string& service);

// Connects and reads the greeting: what follows on the stream answers requests.
[[nodiscard]] result<std::unique_ptr<client_stream>> connect_proxy(const server_address& to, std::chrono::seconds limit);
// Sends one request and reads its answer, which has a status.
[[nodiscard]] result<proxy_fields> ask_proxy(client_stream& server, const std::string& request);
// Asks the service of that name to open a table; the answer tells whether it could, and the table's flags. An error when
// it may not.
[[nodiscard]] result<proxy_fields> open_in_proxy(client_stream& server, const std::string& service, const std::string& table,
                                                 const open_options& options);

// Whether a connection failed because no such service runs, or none that this process may reach.
[[nodiscard]] bool nobody_there(const mta::error& why) noexcept;

} // namespace mta::table
