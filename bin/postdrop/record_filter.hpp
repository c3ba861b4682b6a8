// Which records of a submission stream may enter the maildrop queue: the border between any local user and the queue.
//
// A state machine over records; it holds no file. Only listed record types and attributes pass, nothing in an envelope
// record may hold NUL or a line end, and each segment has its own list. Safe on hostile input.
#pragma once

#include <string>
#include <string_view>

#include <mta/queue/record.hpp>

namespace mta::postdrop {

enum class ruling {
    pass,
    drop,      // not for the queue, and no harm
    ignore,    // an attribute that is not for users: worth a warning
    nameless,  // an attribute without a name or without "=": likewise
    end,       // the END record: the message is complete
    incomplete, // the END record, but who sends to whom has not been said
    unexpected, // a record type that has no place here
    malformed,
};

class record_filter {
public:
    [[nodiscard]] ruling judge(queue::record_type type, std::string_view data);

private:
    enum class segment { envelope, content, extracted };
    [[nodiscard]] ruling envelope(queue::record_type type, std::string_view data);
    [[nodiscard]] ruling content(queue::record_type type);
    [[nodiscard]] ruling extracted(queue::record_type type, std::string_view data);

    segment at_ = segment::envelope;
    bool sender_ = false;
    bool recipients_ = false;
    bool senderless_ = false; // somebody was named before the sender
};

} // namespace mta::postdrop
