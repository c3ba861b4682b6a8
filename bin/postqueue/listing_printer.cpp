#include "listing_printer.hpp"

#include <array>
#include <ctime>

namespace mta::postqueue {

namespace {

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
    std::string out;
    append_json(out, message);
    out += '\n';
    std::fwrite(out.data(), 1, out.size(), out_);
}

void listing_printer::print(const queue::listed_message& message) {
    if (form_ == layout::json)
        json(message);
    else if (form_ == layout::traditional)
        traditional(message);
    ++messages_;
    bytes_ += static_cast<unsigned long long>(message.size);
}

void listing_printer::finish() {
    if (form_ == layout::json)
        return;
    if (form_ == layout::count)
        std::fprintf(out_, "%lu\n", messages_);
    else if (form_ == layout::json_count)
        std::fprintf(out_, "{\"count\": %lu, \"message_size\": %llu}\n", messages_, bytes_);
    else if (messages_ == 0)
        std::fputs("Mail queue is empty\n", out_);
    else
        std::fprintf(out_, "\n-- %llu Kbytes in %lu Request%s.\n", bytes_ / 1024, messages_,
                     messages_ == 1 ? "" : "s");
}

} // namespace mta::postqueue
