// Bodies of header.hpp.
#include <mta/message/header.hpp>

#include <algorithm>
#include <array>

#include <mta/core/text.hpp>

namespace mta::message {

namespace {

using id = header_id;

constexpr unsigned from_sender = 1;
constexpr unsigned to_recipient = 2;
constexpr unsigned extracted = 4;
constexpr unsigned resent_field = 8;
constexpr unsigned dropped = 16;

constexpr header_info row(header_id which, std::string_view name, unsigned traits = 0) {
    return {which,
            name,
            (traits & from_sender) != 0,
            (traits & to_recipient) != 0,
            (traits & extracted) != 0,
            (traits & resent_field) != 0,
            (traits & dropped) != 0};
}

// Sorted by name in lower case.
constexpr std::array known{
    row(id::apparently_to, "Apparently-To", to_recipient),
    row(id::bcc, "Bcc", to_recipient | extracted | dropped),
    row(id::cc, "Cc", to_recipient | extracted),
    row(id::content_description, "Content-Description"),
    row(id::content_disposition, "Content-Disposition"),
    row(id::content_id, "Content-ID"),
    row(id::content_length, "Content-Length", dropped),
    row(id::content_transfer_encoding, "Content-Transfer-Encoding"),
    row(id::content_type, "Content-Type"),
    row(id::date, "Date"),
    row(id::delivered_to, "Delivered-To"),
    row(id::disposition_notification_to, "Disposition-Notification-To", from_sender),
    row(id::errors_to, "Errors-To", from_sender),
    row(id::from, "From", from_sender),
    row(id::mail_followup_to, "Mail-Followup-To", from_sender),
    row(id::message_id, "Message-Id"),
    row(id::mime_version, "MIME-Version"),
    row(id::received, "Received"),
    row(id::reply_to, "Reply-To", from_sender),
    row(id::resent_bcc, "Resent-Bcc", to_recipient | extracted | resent_field | dropped),
    row(id::resent_cc, "Resent-Cc", to_recipient | extracted | resent_field),
    row(id::resent_date, "Resent-Date", resent_field),
    row(id::resent_from, "Resent-From", from_sender | resent_field),
    row(id::resent_message_id, "Resent-Message-Id", resent_field),
    row(id::resent_reply_to, "Resent-Reply-To", from_sender | resent_field),
    row(id::resent_sender, "Resent-Sender", from_sender | resent_field),
    row(id::resent_to, "Resent-To", to_recipient | extracted | resent_field),
    row(id::return_path, "Return-Path", dropped),
    row(id::return_receipt_to, "Return-Receipt-To", from_sender),
    row(id::sender, "Sender", from_sender),
    row(id::subject, "Subject"),
    row(id::tls_required, "TLS-Required"),
    row(id::to, "To", to_recipient | extracted),
};

// <0, 0, >0 like memcmp, without regard to case.
int compare(std::string_view a, std::string_view b) noexcept {
    const auto shared = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < shared; ++i)
        if (const int difference = to_lower(a[i]) - to_lower(b[i]); difference != 0)
            return difference;
    return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

} // namespace

std::size_t header_name_length(std::string_view line) noexcept {
    std::size_t name = 0;
    while (name < line.size() && line[name] > 0x20 && line[name] < 0x7F && line[name] != ':')
        ++name;
    if (name == 0)
        return 0;
    auto at = name;
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t'))
        ++at;
    return at < line.size() && line[at] == ':' ? name : 0;
}

const header_info* find_header(std::string_view name) noexcept {
    const auto at = std::lower_bound(known.begin(), known.end(), name, [](const header_info& have, std::string_view want) {
        return compare(have.name, want) < 0;
    });
    return at != known.end() && compare(at->name, name) == 0 ? &*at : nullptr;
}

std::optional<header_view> split_header(std::string_view logical) noexcept {
    const auto length = header_name_length(logical);
    if (length == 0)
        return std::nullopt;
    auto value = logical.substr(logical.find(':', length) + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t\r\n"), value.size()));
    return header_view{logical.substr(0, length), value};
}

void append_folded(std::string& out, std::string_view name, std::string_view value) {
    constexpr std::size_t reasonable = 70;
    out += name;
    out += ": ";
    auto line = name.size() + 2;
    for (std::size_t at = 0; at <= value.size();) {
        const auto end = std::min(value.find('\n', at), value.size());
        const auto piece = value.substr(at, end - at);
        if (at > 0) {
            const bool fits = line + 1 + piece.size() < reasonable;
            out += fits ? " " : "\n\t";
            line = fits ? line + 1 : 1;
        }
        out += piece;
        line += piece.size();
        at = end + 1;
    }
}

std::string unfold(std::string_view value) {
    std::string out;
    out.reserve(value.size());
    for (const char c : value)
        if (c != '\n' && c != '\r')
            out += c;
    return out;
}

} // namespace mta::message
