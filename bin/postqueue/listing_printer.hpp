// Prints a queue listing in the traditional layout or as JSON lines.
//
// No I/O but the stream it is given. The layout is exact: programs read it (tests/interop/postqueue.py).
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include <mta/queue/listing.hpp>
#include <mta/queue/queue_id.hpp>

namespace mta::postqueue {

enum class layout { traditional, json, count, json_count };

class listing_printer {
public:
    // ids chooses the widths: by the current setting, whatever the names are.
    listing_printer(layout form, queue::id_form ids, std::FILE* out) : form_(form), ids_(ids), out_(out) {}

    void print(const queue::listed_message& message);
    // The summary, or "Mail queue is empty". JSON has neither; of the counts it is all.
    void finish();

private:
    void traditional(const queue::listed_message& message);
    void json(const queue::listed_message& message);
    void row(std::string_view id, std::string_view size, std::string_view time, std::string_view address);

    layout form_;
    queue::id_form ids_;
    std::FILE* out_;
    std::string row_; // kept, so that its memory is
    unsigned long messages_ = 0;
    unsigned long long bytes_ = 0;
};

} // namespace mta::postqueue
