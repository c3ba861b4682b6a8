#pragma once

#include <utility>

#include <mta/core/text.hpp>
#include <mta/queue/brief_envelope.hpp>
#include <mta/queue/record.hpp>
#include <mta/queue/record_file.hpp>
#include <mta/queue/size_record.hpp>

namespace mta::queue {

std::optional<brief_envelope::piece> brief_envelope::record_at(std::string_view bytes) {
    if (bytes.size() < 2)
        return std::nullopt;
    std::size_t length = static_cast<unsigned char>(bytes[1]);
    std::size_t header_size = 2;
    if (length >= 0x80) { // rare
        const auto header = parse_record_header(bytes, max_record_length);
        if (!header || !*header)
            return std::nullopt;
        length = (*header)->length;
        header_size = (*header)->header_size;
    }
    if (bytes.size() - header_size < length)
        return std::nullopt;
    return piece{bytes[0], bytes.substr(header_size, length), header_size + length};
}

std::optional<std::size_t> brief_envelope::take_head(std::string_view head, std::size_t file_size) {
    const auto first = record_at(head);
    if (!first || first->type != static_cast<char>(record_type::size))
        return std::nullopt;
    const auto sizes = parse_size_record(first->data);
    if (!sizes || sizes->data_offset <= 0 || sizes->content_size < 0)
        return std::nullopt;
    content_size = sizes->content_size;
    for (auto at = first->size;;) {
        const auto record = record_at(head.substr(at));
        if (!record)
            return std::nullopt;
        at += record->size;
        if (record->type == static_cast<char>(record_type::message))
            break;
        if (!take(*record, segment::envelope))
            return std::nullopt;
    }
    const auto data_offset = static_cast<std::size_t>(sizes->data_offset);
    const auto size = static_cast<std::size_t>(sizes->content_size);
    if (data_offset >= file_size || size >= file_size - data_offset)
        return std::nullopt;
    return data_offset + size;
}

bool brief_envelope::take_tail(std::string_view tail) {
    for (bool first = true;; first = false) {
        const auto record = record_at(tail);
        if (!record || first != (record->type == static_cast<char>(record_type::extracted)))
            return false;
        tail.remove_prefix(record->size);
        if (first)
            continue;
        if (record->type == static_cast<char>(record_type::end))
            return have_time_ && have_sender_;
        if (!take(*record, segment::extracted))
            return false;
    }
}

bool brief_envelope::take(const piece& record, segment where) {
    const bool before = where == segment::envelope;
    switch (static_cast<record_type>(static_cast<unsigned char>(record.type))) {
    case record_type::recipient:
        recipients.push_back(record.data);
        return have_sender_;
    case record_type::done:
        return have_sender_;
    case record_type::attribute: {
        const auto equals = record.data.find('=');
        // Most begin with a letter; what a blank is, is for the whole envelope to judge.
        return equals != std::string_view::npos && equals > 0 && record.data.front() > ' ';
    }
    case record_type::pointer: {
        const auto target = parse_pointer(record.data);
        return target && *target == 0;
    }
    case record_type::original_recipient:
    case record_type::filter:
    case record_type::inspector:
    case record_type::redirect:
    case record_type::cancelled:
    case record_type::killed:
    case record_type::dsn_original_recipient:
    case record_type::dsn_notify:
    case record_type::padding:
        return true;
    case record_type::time:
        return before && take_time(record.data);
    case record_type::sender:
        return before && take_sender(record.data);
    case record_type::full_name:
    case record_type::warn_time:
    case record_type::verp:
    case record_type::create_time:
    case record_type::dsn_ret:
    case record_type::dsn_envid:
        return before;
    case record_type::errors_to:
    case record_type::return_receipt:
    case record_type::priority:
        return !before;
    default:
        return false;
    }
}

bool brief_envelope::take_time(std::string_view data) {
    const auto text = trim(data);
    const auto blank = text.find(' ');
    const auto seconds = parse_integer(text.substr(0, blank));
    const auto micros =
        blank == std::string_view::npos ? result<long long>(0) : parse_integer(trim(text.substr(blank)));
    if (!seconds || *seconds <= 0 || !micros || *micros < 0 || *micros >= 1000000)
        return false;
    if (!std::exchange(have_time_, true))
        arrival = *seconds;
    return true;
}

bool brief_envelope::take_sender(std::string_view data) {
    sender = data;
    return !std::exchange(have_sender_, true);
}

} // namespace mta::queue
