#pragma once

#include <mta/queue/errc.hpp>

namespace mta::queue {

namespace detail {
class errc_category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "mta.queue"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
        case errc::bad_id:
            return "invalid queue ID";
        case errc::truncated_record:
            return "the file ends inside a record";
        case errc::bad_length:
            return "bad record length";
        case errc::record_too_long:
            return "record too long";
        case errc::unexpected_record:
            return "unexpected record type";
        case errc::null_in_record:
            return "null byte in a record";
        case errc::bad_size_record:
            return "bad size record";
        case errc::bad_time:
            return "bad time record";
        case errc::bad_attribute:
            return "bad attribute record";
        case errc::bad_pointer:
            return "bad pointer record";
        case errc::pointer_loop:
            return "pointer records form a loop";
        case errc::no_arrival_time:
            return "missing arrival time record";
        case errc::no_sender:
            return "missing sender record";
        case errc::second_sender:
            return "more than one sender record";
        case errc::early_recipient:
            return "recipient record before the sender";
        case errc::missing_end:
            return "missing end record";
        case errc::not_a_queue_file:
            return "not a queue file";
        case errc::not_regular:
            return "not a regular file";
        case errc::not_a_recipient:
            return "no recipient record at this offset";
        case errc::incomplete:
            return "still being written";
        case errc::bad_log:
            return "bad log file";
        case errc::bad_listing:
            return "malformed queue listing";
        case errc::bad_criterion:
            return "bad selection";
        }
        return "unknown error";
    }
};
} // namespace detail

std::error_code make_error_code(errc value) noexcept {
    static const detail::errc_category category;
    return {static_cast<int>(value), category};
}

bool is_damage(const std::error_code& code) noexcept {
    if (code.category() != make_error_code(errc::bad_id).category())
        return false;
    switch (static_cast<errc>(code.value())) {
    case errc::bad_id:
    case errc::not_a_recipient:
    case errc::incomplete:
    case errc::bad_log:
    case errc::bad_listing:
    case errc::bad_criterion:
        return false;
    default:
        return true;
    }
}

} // namespace mta::queue
