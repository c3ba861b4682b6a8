// What a listing shows of a queue file, read at a fraction of the cost of a whole envelope.
//
// Only for files as mail systems write nearly all of them. Whatever else it meets (pointers, damage, a missing size
// record) it refuses, and queue_file reads that file; what it does not refuse, queue_file reads in the same way
// (tests/queue/test_brief_envelope.cpp).
//
// No I/O; the only memory is the list of recipients. The views are of the caller's bytes. Safe on hostile input.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace mta::queue {

class brief_envelope {
public:
    // Takes the first bytes of a file of that size. Where its extracted segment begins; nullopt: refused.
    [[nodiscard]] std::optional<std::size_t> take_head(std::string_view head, std::size_t file_size);
    // Takes all that is in the file from there on. False: refused.
    [[nodiscard]] bool take_tail(std::string_view tail);

    long long arrival = 0;      // seconds
    long long content_size = 0; // as the size record tells it
    std::string_view sender;
    std::vector<std::string_view> recipients; // those that are not done

private:
    enum class segment { envelope, extracted };
    struct piece {
        char type;
        std::string_view data;
        std::size_t size; // with its header
    };
    static std::optional<piece> record_at(std::string_view bytes);
    bool take(const piece& record, segment where);
    bool take_time(std::string_view data);
    bool take_sender(std::string_view data);

    bool have_time_ = false;
    bool have_sender_ = false;
};

} // namespace mta::queue
