// The protocol of Redis servers (RESP2), as far as a lookup table needs it.
//
// A command is a list of byte strings, each sent with its length: nothing is quoted and nothing can be escaped.
//
// No I/O but through a client_stream. Safe on hostile answers: sizes are limited, nesting is not followed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/client_stream.hpp>

namespace mta::table {

[[nodiscard]] std::string redis_command(const std::vector<std::string_view>& words);

// One answer: the values in it, none for nil or an empty list. refused holds the text of an error answer, after which
// the connection is good.
struct redis_answer {
    std::vector<std::string> values;
    std::string refused;
};
[[nodiscard]] result<redis_answer> read_redis_answer(client_stream& from, std::size_t most_bytes);

} // namespace mta::table
