// The wire formats of tables that ask a network server: what a question looks like, and what an answer line says.
//
// tcp: (tcp_table(5)): "get KEY\n" with %XX; "200 VALUE\n", "400 REASON\n", "500 REASON\n".
// socketmap: (socketmap_table(5)): netstrings "NAME KEY"; "OK VALUE", "NOTFOUND ", "TEMP …", "TIMEOUT …", "PERM …".
//
// No I/O but in the two functions that take a client_stream. Safe on hostile answers (fuzz_protocols): what does not
// fit is an error, never "not found".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/client_stream.hpp>

namespace mta::table {

inline constexpr std::size_t tcp_reply_limit = 4096;
inline constexpr std::size_t socketmap_reply_limit = 100'000;

// %XX for '%', white space and everything that is not printable ASCII.
[[nodiscard]] std::string percent_encode(std::string_view bytes);
// errc::malformed for a '%' without two hexadecimal digits.
[[nodiscard]] result<std::string> percent_decode(std::string_view text);

// line without its end. The error is errc::temporary: the server said 400, or nothing that can be understood.
[[nodiscard]] result<std::optional<std::string>> read_tcp_reply(std::string_view line);

[[nodiscard]] std::string netstring(std::string_view bytes);
// The number before the colon: errc::malformed, or errc::too_large over limit.
[[nodiscard]] result<std::size_t> netstring_size(std::string_view digits, std::size_t limit);

// bytes are those within the netstring.
[[nodiscard]] result<std::optional<std::string>> read_socketmap_reply(std::string_view bytes);

// Asks, and returns the answer for read_tcp_reply() and read_socketmap_reply(). After an error, which is also that more came
// than one answer, the stream is of no more use.
[[nodiscard]] result<std::string> ask_tcp(client_stream& server, std::string_view key);
[[nodiscard]] result<std::string> ask_socketmap(client_stream& server, std::string_view map, std::string_view key);

} // namespace mta::table
