// A message as lookup keys, the way that header and body checks see it: whole headers (with the newlines inside), and
// lines of the body. Without MIME everything behind the first header is body; with it the headers of parts and of
// attached messages are headers too.
#pragma once

#include <functional>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/line_input.hpp>

namespace mta::table {

struct message_key_kinds {
    bool headers = false;
    bool body = false;
    bool mime = false;
};

using take_key = std::function<result<void>(std::string_view)>;

// Until take answers an error.
[[nodiscard]] result<void> each_message_key(line_input& input, message_key_kinds which, const take_key& take);

} // namespace mta::table
