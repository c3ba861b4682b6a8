#include "record_printer.hpp"

#include <array>
#include <ctime>

#include <mta/core/text.hpp>
#include <mta/message/header.hpp>

namespace mta::postcat {

using queue::record_type;

namespace {

std::string local_time(std::string_view seconds) {
    const auto words = split(seconds, " ");
    const std::time_t when = words.empty() ? 0 : static_cast<std::time_t>(parse_integer(words[0]).value_or(0));
    std::tm parts{};
    std::array<char, 64> text{};
    if (::localtime_r(&when, &parts) == nullptr)
        return std::string(seconds);
    const auto length = std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts);
    return {text.data(), length};
}

// Labelled values end at a NUL, as they always did.
std::string_view until_nul(std::string_view data) {
    return data.substr(0, data.find('\0'));
}

} // namespace

void record_printer::put(std::string_view words) {
    if (!opt_.file_names) {
        out_(words);
        return;
    }
    for (std::size_t at = 0; at < words.size();) {
        if (line_start_)
            out_(name_ + ": ");
        const auto end = words.find('\n', at);
        const auto next = end == std::string_view::npos ? words.size() : end + 1;
        out_(words.substr(at, next - at));
        line_start_ = end != std::string_view::npos;
        at = next;
    }
}

void record_printer::begin() {
    if (opt_.envelope && opt_.start == 0)
        put("*** ENVELOPE RECORDS " + name_ + " ***\n");
}

bool record_printer::shown() const noexcept {
    switch (state_) {
    case state::header:
        return opt_.header;
    case state::body:
        return opt_.body;
    default:
        return opt_.envelope;
    }
}

void record_printer::prefix(record_type type, long long offset) {
    std::array<char, 48> words{};
    int length = 0;
    if (opt_.offsets)
        length = std::snprintf(words.data(), words.size(), "%9lld ", offset);
    if (opt_.types)
        length += std::snprintf(words.data() + length, words.size() - static_cast<std::size_t>(length), "%3d ",
                                static_cast<int>(type));
    put({words.data(), static_cast<std::size_t>(length)});
}

void record_printer::marker(std::string_view words, record_type type, long long offset) {
    if (!opt_.envelope)
        return;
    if (type == record_type::extracted && open_line_)
        put("\n");
    open_line_ = false;
    prefix(type, offset);
    put("*** " + std::string(words) + ' ' + name_ + " ***\n");
}

bool record_printer::print(const queue::file_record& record, long long offset) {
    const bool in_text = state_ == state::header || state_ == state::body;
    switch (record.type) {
    case record_type::message:
        if (state_ != state::envelope)
            warn_(name_ + ": out-of-order message content marker");
        marker("MESSAGE CONTENTS", record.type, offset);
        state_ = state::header;
        break;
    case record_type::extracted:
        if (!in_text)
            warn_(name_ + ": out-of-order extracted segment marker");
        marker("HEADER EXTRACTED", record.type, offset);
        state_ = state::extracted;
        if (!opt_.envelope)
            return false; // nothing that could be shown follows
        break;
    case record_type::end:
        if (state_ != state::extracted)
            warn_(name_ + ": out-of-order message end marker");
        marker("MESSAGE FILE END", record.type, offset);
        return opt_.raw && opt_.verbose > 0;
    case record_type::text:
        text(record, offset);
        return true;
    case record_type::unterminated:
        if (in_text) {
            text(record, offset);
            return true;
        }
        [[fallthrough]];
    default:
        labelled(record, offset);
        break;
    }
    return true;
}

void record_printer::text(const queue::file_record& record, long long offset) {
    const bool unterminated = record.type == record_type::unterminated;
    // A line that goes on in the next record is known by what was printed of it last: unless its beginning was,
    // the rest counts as body. The reference's way; tests/interop/postcat.py.
    if (state_ == state::header && !open_line_ && !message::is_continuation(record.data) &&
        message::header_name_length(record.data) == 0)
        state_ = state::body;
    if (!shown())
        return;
    prefix(record.type, offset);
    if (opt_.verbose > 0)
        put(std::string(queue::record_label(record.type, unterminated)) + ": ");
    put(record.data);
    open_line_ = unterminated && !opt_.offsets && opt_.verbose == 0;
    if (!open_line_)
        put("\n");
}

void record_printer::labelled(const queue::file_record& record, long long offset) {
    const bool follows = record.type == record_type::pointer || record.type == record_type::padding;
    if (!shown() || (follows && opt_.verbose == 0))
        return;
    open_line_ = false;
    if (record.type == record_type::attribute) {
        attribute(record, offset);
        return;
    }
    prefix(record.type, offset);
    std::string line(queue::record_label(record.type));
    line += ": ";
    if (record.type == record_type::time || record.type == record_type::warn_time)
        line += local_time(record.data);
    else if (record.type == record_type::padding)
        line += record.data;
    else
        line += until_nul(record.data);
    put(line + '\n');
}

void record_printer::attribute(const queue::file_record& record, long long offset) {
    prefix(record.type, offset);
    const auto data = until_nul(record.data);
    const auto equals = data.find('=');
    if (equals == std::string_view::npos) {
        warn_(name_ + ": malformed attribute: missing '=' after attribute name: " + printable(data));
        return;
    }
    const auto key = trim(data.substr(0, equals));
    const auto value = trim(data.substr(equals + 1));
    std::string line;
    if (key == "create_time")
        line.append("create_time: ").append(local_time(value));
    else
        line.append("named_attribute: ").append(key).append("=").append(value);
    put(line + '\n');
}

} // namespace mta::postcat
