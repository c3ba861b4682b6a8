#include <string>

#include <mta/message/header.hpp>
#include <mta/message/mime.hpp>
#include <mta/table/message_keys.hpp>

namespace mta::table {
namespace {

class key_maker {
public:
    key_maker(message_key_kinds which, const take_key& take) : which_(which), take_(take) {}

    result<void> line(std::string_view line) {
        switch (kind_of(line)) {
        case message::line_kind::continuation:
            header_.append(1, '\n').append(line);
            return {};
        case message::line_kind::header:
            if (auto done = end_header(); !done)
                return done;
            header_ = line;
            in_header_ = true;
            return {};
        case message::line_kind::body:
            break;
        }
        const bool cut = std::exchange(header_cut_, false);
        if (auto done = end_header(); !done)
            return done;
        // A body that follows without an empty line gets one, as it would in the mail.
        if (cut && which_.body && !line.empty())
            if (auto done = take_({}); !done)
                return done;
        return which_.body ? take_(line) : result<void>();
    }
    // The header that is at its end, if there is one.
    result<void> end_header() {
        if (!std::exchange(in_header_, false))
            return {};
        if (primary_ && which_.mime)
            if (const auto split = message::split_header(header_))
                mime_.primary_header(split->name, split->value);
        return which_.headers ? take_(header_) : result<void>();
    }

private:
    message::line_kind kind_of(std::string_view line) {
        if (!primary_)
            return which_.mime ? mime_.body_line(line) : message::line_kind::body;
        if (in_header_ && message::is_continuation(line))
            return message::line_kind::continuation;
        if (message::header_name_length(line) > 0)
            return message::line_kind::header;
        // The last header may be the one that tells the boundary.
        if (in_header_ && which_.mime)
            if (const auto split = message::split_header(header_))
                mime_.primary_header(split->name, split->value);
        primary_ = false;
        header_cut_ = true;
        mime_.primary_end();
        return message::line_kind::body;
    }

    message_key_kinds which_;
    const take_key& take_;
    message::mime_tracker mime_;
    std::string header_;
    bool in_header_ = false;
    bool primary_ = true;
    bool header_cut_ = false; // the message's header has just ended
};

} // namespace

result<void> each_message_key(line_input& input, message_key_kinds which, const take_key& take) {
    key_maker keys(which, take);
    auto done = input.each_line([&](std::string_view line) { return keys.line(line); });
    return done ? keys.end_header() : done;
}

} // namespace mta::table
