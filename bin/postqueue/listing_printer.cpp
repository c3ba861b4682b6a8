#include "listing_printer.hpp"

#include <array>
#include <ctime>

namespace mta::postqueue {

namespace {

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        switch (c) {
        case '"':
        case '\\':
            out += '\\';
            out += c;
            break;
        case '\b':
            out += "\\b";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
                std::array<char, 8> escape{};
                std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(c));
                out += escape.data();
            } else
                out += c;
        }
    }
    out += '"';
}

// The first twenty columns of ctime's form, local zone.
std::string arrival_text(long long arrival) {
    const auto when = static_cast<std::time_t>(arrival);
    std::tm parts{};
    std::array<char, 64> text{};
    if (::localtime_r(&when, &parts) == nullptr)
        return {};
    return {text.data(), std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S ", &parts)};
}

} // namespace

void listing_printer::row(const std::string& id, const std::string& size, const std::string& time,
                          const std::string& address) {
    if (ids_ == queue::id_form::long_id)
        std::fprintf(out_, "%-17s %8s %-19.19s %s\n", id.c_str(), size.c_str(), time.c_str(), address.c_str());
    else
        std::fprintf(out_, "%-11s %7s %-20.20s %s\n", id.c_str(), size.c_str(), time.c_str(), address.c_str());
}

void listing_printer::traditional(const queue::listed_message& message) {
    if (messages_ == 0) {
        if (ids_ == queue::id_form::long_id)
            row("----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------");
        else
            row("-Queue ID-", "--Size--", "----Arrival Time----", "-Sender/Recipient-------");
    } else
        std::fputc('\n', out_);
    std::string id = message.queue_id;
    if (message.queue_name == "active")
        id += '*';
    else if (message.queue_name == "hold")
        id += '!';
    if (message.forced_expire)
        id += '#';
    row(id, std::to_string(message.size), arrival_text(message.arrival), message.sender);
    std::string_view last;
    for (const auto& to : message.recipients) {
        if (to.reason != last) {
            const std::string reason = to.reason.empty() ? "reason unavailable" : to.reason;
            constexpr std::size_t width = 76; // so that ")" stands in column 78
            const auto padding = reason.size() < width ? width - reason.size() : 0;
            std::fprintf(out_, "%*s(%s)\n", static_cast<int>(padding), "", reason.c_str());
            last = to.reason;
        }
        row("", "", "", to.address);
    }
}

void listing_printer::json(const queue::listed_message& message) {
    std::string out = "{\"queue_name\": ";
    append_json_string(out, message.queue_name);
    out += ", \"queue_id\": ";
    append_json_string(out, message.queue_id);
    out += ", \"arrival_time\": " + std::to_string(message.arrival);
    out += ", \"message_size\": " + std::to_string(message.size);
    out += ", \"forced_expire\": ";
    out += message.forced_expire ? "true" : "false";
    out += ", \"sender\": ";
    append_json_string(out, message.sender);
    out += ", \"recipients\": [";
    bool first = true;
    for (const auto& to : message.recipients) {
        out += first ? "{\"address\": " : ", {\"address\": ";
        first = false;
        append_json_string(out, to.address);
        if (!to.reason.empty()) {
            out += ", \"delay_reason\": ";
            append_json_string(out, to.reason);
        }
        out += '}';
    }
    out += "]}\n";
    std::fwrite(out.data(), 1, out.size(), out_);
}

void listing_printer::print(const queue::listed_message& message) {
    form_ == layout::json ? json(message) : traditional(message);
    ++messages_;
    bytes_ += static_cast<unsigned long long>(message.size);
}

void listing_printer::finish() {
    if (form_ == layout::json)
        return;
    if (messages_ == 0)
        std::fputs("Mail queue is empty\n", out_);
    else
        std::fprintf(out_, "\n-- %llu Kbytes in %lu Request%s.\n", bytes_ / 1024, messages_,
                     messages_ == 1 ? "" : "s");
}

} // namespace mta::postqueue
