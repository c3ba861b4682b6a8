#include "listing_printer.hpp"

#include <ctime>
#include <utility>

namespace mta::postqueue {

namespace {

// The first twenty columns of ctime's form, local zone. By hand: strftime takes as long as the rest of a row.
std::string arrival_text(long long arrival) {
    static constexpr std::string_view days = "SunMonTueWedThuFriSat";
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto when = static_cast<std::time_t>(arrival);
    std::tm parts{};
    if (::localtime_r(&when, &parts) == nullptr)
        return {};
    std::string text;
    const auto number = [&](int value, char pad) {
        text += value < 10 ? pad : static_cast<char>('0' + value / 10);
        text += static_cast<char>('0' + value % 10);
    };
    text.append(days.substr(static_cast<std::size_t>(parts.tm_wday) * 3, 3)).append(1, ' ');
    text.append(months.substr(static_cast<std::size_t>(parts.tm_mon) * 3, 3)).append(1, ' ');
    number(parts.tm_mday, ' ');
    for (const auto& [value, before] : {std::pair(parts.tm_hour, ' '), {parts.tm_min, ':'}, {parts.tm_sec, ':'}}) {
        text += before;
        number(value, '0');
    }
    return text += ' ';
}

// Padded on the right, and a blank.
void put_column(std::string& row, std::string_view text, std::size_t width) {
    row.append(text).append(text.size() < width ? width - text.size() : 0, ' ').append(1, ' ');
}

} // namespace

void listing_printer::row(std::string_view id, std::string_view size, std::string_view time, std::string_view address) {
    const bool wide = ids_ == queue::id_form::long_id;
    const std::size_t size_width = wide ? 8 : 7;
    row_.clear();
    put_column(row_, id, wide ? 17 : 11);
    put_column(row_.append(size.size() < size_width ? size_width - size.size() : 0, ' '), size, 0);
    put_column(row_, time.substr(0, wide ? 19 : 20), wide ? 19 : 20);
    row_.append(address).append(1, '\n');
    std::fwrite(row_.data(), 1, row_.size(), out_);
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
            const std::string_view reason = to.reason.empty() ? "reason unavailable" : std::string_view(to.reason);
            constexpr std::size_t width = 76; // so that ")" stands in column 78
            row_.assign(reason.size() < width ? width - reason.size() : 0, ' ');
            row_.append(1, '(').append(reason).append(")\n");
            std::fwrite(row_.data(), 1, row_.size(), out_);
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
