// Header lines and MIME structure: any bytes, cut into lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <mta/message/header.hpp>
#include <mta/message/mime.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    mta::message::mime_tracker mime({.nesting = 20, .boundary_length = 70, .header = 4096});
    bool in_header = true;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        at = end + 1;
        if (!in_header) {
            mime.body_line(line);
            continue;
        }
        const auto split = mta::message::split_header(line);
        if (!split) {
            in_header = false;
            mime.primary_end();
            continue;
        }
        (void)mta::message::find_header(split->name);
        mime.primary_header(split->name, split->value);
        std::string folded;
        mta::message::append_folded(folded, split->name, split->value);
        (void)mta::message::unfold(folded);
        (void)mta::message::header_parameter(split->value, "boundary");
    }
    return 0;
}
