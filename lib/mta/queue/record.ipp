#pragma once


#include <mta/queue/record.hpp>

namespace mta::queue {

std::string_view record_label(record_type type, bool in_content) noexcept {
    struct row {
        char letter;
        std::string_view label;
    };
    static constexpr row rows[] = {
        {'C', "message_size"},
        {'T', "message_arrival_time"},
        {'c', "queue_file_create_time"},
        {'F', "sender_fullname"},
        {'I', "content_inspector"},
        {'L', "content_filter"},
        {'S', "sender"},
        {'D', "done_recipient"},
        {'R', "recipient"},
        {'O', "original_recipient"},
        {'/', "canceled_recipient"},
        {'W', "warning_message_time"},
        {'V', "verp_delimiters"},
        {'M', "message_content"},
        {'N', "regular_text"},
        {'w', "padding"},
        {'X', "extracted_info"},
        {'r', "return_receipt"},
        {'e', "errors_to"},
        {'P', "priority"},
        {'A', "named_attribute"},
        {'p', "pointer_record"},
        {'K', "killed_record"},
        {'>', "redirect_to"},
        {'f', "flags"},
        {'<', "dsn_return_flags"},
        {'i', "dsn_envelope_id"},
        {'o', "dsn_original_recipient"},
        {'n', "dsn_notify_flags"},
        {'E', "message_end"},
    };
    if (in_content && type == record_type::unterminated)
        return "unterminated_text";
    for (const auto& [letter, label] : rows)
        if (letter == static_cast<char>(type))
            return label;
    return "unknown_record_type";
}

std::optional<record_type> pseudo_type(std::string_view attribute_name) noexcept {
    if (attribute_name == "create_time")
        return record_type::create_time;
    if (attribute_name == "ret_flags")
        return record_type::dsn_ret;
    if (attribute_name == "envelope_id")
        return record_type::dsn_envid;
    if (attribute_name == "dsn_orig_rcpt")
        return record_type::dsn_original_recipient;
    if (attribute_name == "notify_flags")
        return record_type::dsn_notify;
    return std::nullopt;
}

} // namespace mta::queue
