#include "record_filter.hpp"

#include <mta/core/text.hpp>

namespace mta::postdrop {

using queue::record_type;

namespace {

bool has_control(std::string_view data) noexcept {
    return data.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos;
}

// The attributes a submitter may set, and the values they may have.
bool may_pass(std::string_view name, std::string_view value) {
    if (name == "encoding")
        return value.empty() || value == "7bit" || value == "8bit";
    if (name == "rewrite_context")
        return value == "local" || value == "remote";
    if (name == "trace_flags") {
        const auto number = parse_integer(value);
        return number && (*number & ~(512LL | 1024LL)) == 0; // no server probe: it would poison its cache
    }
    return name == "envelope_id" || name == "notify_flags" || name == "ret_flags" || name == "dsn_orig_rcpt" ||
           name == "create_time";
}

ruling attribute(std::string_view pair) {
    const auto equals = pair.find('=');
    if (equals == 0 || equals == std::string_view::npos)
        return ruling::nameless;
    return may_pass(pair.substr(0, equals), pair.substr(equals + 1)) ? ruling::pass : ruling::ignore;
}

} // namespace

ruling record_filter::judge(record_type type, std::string_view data) {
    if (at_ == segment::content)
        return content(type);
    if (has_control(data))
        return ruling::malformed;
    return at_ == segment::envelope ? envelope(type, data) : extracted(type, data);
}

ruling record_filter::envelope(record_type type, std::string_view data) {
    switch (type) {
    case record_type::size:
    case record_type::time: // the arrival is ours to say
        return ruling::drop;
    case record_type::full_name:
    case record_type::verp:
    case record_type::dsn_envid:
    case record_type::dsn_notify:
        return ruling::pass;
    case record_type::sender:
        if (sender_)
            return ruling::malformed;
        sender_ = true;
        return ruling::pass;
    case record_type::recipient:
        senderless_ = senderless_ || !sender_;
        recipients_ = true;
        return ruling::pass;
    case record_type::attribute:
        return attribute(data);
    case record_type::message:
        senderless_ = senderless_ || !sender_;
        at_ = segment::content;
        return ruling::pass;
    default:
        return ruling::unexpected;
    }
}

ruling record_filter::content(record_type type) {
    if (type == record_type::extracted) {
        at_ = segment::extracted;
        return ruling::pass;
    }
    return type == record_type::text || type == record_type::unterminated ? ruling::pass : ruling::unexpected;
}

ruling record_filter::extracted(record_type type, std::string_view data) {
    switch (type) {
    case record_type::recipient:
        recipients_ = true;
        return ruling::pass;
    case record_type::attribute:
        return attribute(data);
    case record_type::end:
        return recipients_ && !senderless_ ? ruling::end : ruling::incomplete;
    default:
        return ruling::unexpected;
    }
}

} // namespace mta::postdrop
