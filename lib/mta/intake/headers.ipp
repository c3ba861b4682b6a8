// What happens to the header of a message: fields are collected into logical lines, rewritten, dropped, counted, and
// what is missing is added before the empty line.
#include <algorithm>
#include <ctime>

#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>
#include <mta/core/text.hpp>
#include <mta/intake/engine.hpp>
#include <mta/message/encoded_word.hpp>
#include <mta/message/date.hpp>
#include <mta/message/trace.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/table/patience.hpp>

namespace mta::intake {

using message::header_id;

result<void> intake_message::engine::header_line(std::string_view line, bool unterminated, bool first_piece) {
    const auto room = [&](std::size_t more) { return !header_cut && header.size() + more <= with.header_size_limit; };
    if (!first_piece) {
        if (room(line.size()))
            header += line;
        else
            header_cut = true;
        return {};
    }
    if (!header.empty() && message::is_continuation(line)) {
        if (room(line.size() + 1))
            header.append(1, '\n').append(line);
        else
            header_cut = true;
        return {};
    }
    if (auto taken = take_header(); !taken)
        return taken;
    if (message::header_name_length(line) > 0) {
        header = line.substr(0, with.header_size_limit);
        first_line = false;
        return {};
    }
    // An mbox separator that slipped in ahead of the message.
    if (first_line && request.origin == origin::smtp) {
        const auto from = std::min(line.find_first_not_of('>'), line.size());
        if (line.substr(from).starts_with("From ")) {
            header = "X-Mailbox-Line: ";
            header += line.substr(0, with.header_size_limit);
            first_line = false;
            return {};
        }
    }
    if (auto ended = end_headers(); !ended)
        return ended;
    put_text({}, false);
    if (!line.empty())
        body_line(line, unterminated, true);
    else
        record_open = false;
    return {};
}

void intake_message::engine::note_message_id(std::string_view label, std::string_view value) {
    log.info(writer.id() + ": " + std::string(label) + '=' + printable(value));
    logged_message_id = logged_message_id || label == "message-id";
}

result<void> intake_message::engine::take_header() {
    if (header.empty())
        return {};
    header_cut = false;
    const auto split = message::split_header(header);
    const auto* info = message::find_header(split->name);
    const auto which = info == nullptr ? header_id::other : info->id;
    switch (which) {
    case header_id::received:
        if (++hops >= with.hopcount_limit && (status & status_hops) == 0) {
            log.warning(writer.id() + ": message rejected: hopcount exceeded");
            fail_message(status_hops);
        }
        break;
    case header_id::message_id:
        has_message_id = true;
        note_message_id("message-id", split->value);
        break;
    case header_id::resent_message_id:
        has_resent_message_id = true;
        note_message_id("resent-message-id", split->value);
        break;
    case header_id::content_type:
    case header_id::content_transfer_encoding:
        mime.primary_header(split->name, split->value);
        break;
    case header_id::from:
        has_from = true;
        break;
    case header_id::date:
        has_date = true;
        break;
    case header_id::resent_from:
        has_resent_from = true;
        break;
    case header_id::resent_date:
        has_resent_date = true;
        break;
    case header_id::to:
    case header_id::cc:
    case header_id::resent_to:
    case header_id::resent_cc:
        has_destination = true;
        break;
    default:
        break;
    }
    has_resent = has_resent || (info != nullptr && info->resent);
    const bool rewrite = info != nullptr && (info->sender || info->recipient) &&
                         (local_context() || !with.remote_domain.empty() ||
                          with.addresses.has_canonical(info->sender ? address_role::header_sender
                                                                    : address_role::header_recipient));
    if (with.drops(split->name)) {
        // Dropped.
    } else if (rewrite && request.origin != origin::notice) {
        if (auto rewritten = rewrite_header(*info, split->name, split->value); !rewritten)
            return rewritten;
    } else if (header[split->name.size()] == ':') {
        put_header(header);
    } else {
        // Blanks before the colon are obsolete syntax; they go.
        std::string plain(split->name);
        plain += header.substr(header.find(':'));
        put_header(plain);
    }
    header.clear();
    return {};
}

result<void> intake_message::engine::rewrite_header(const message::header_info& info, std::string_view name,
                                                    std::string_view value) {
    auto items = address::parse_addresses(value, with.token_limit);
    const auto role = info.sender ? address_role::header_sender : address_role::header_recipient;
    bool changed = false;
    for (auto& item : items) {
        if (item.kind != address::item_kind::address || item.text.empty())
            continue;
        const auto before = address::unquote(item.text);
        if (before.empty())
            continue;
        // `"a@b"` has no domain, though its internal form looks so.
        const bool quoted_at = before.find('@') != std::string::npos && item.text.back() == '"';
        auto after = quoted_at                     ? before + '@' + (local_context() ? with.myorigin : with.remote_domain)
                     : local_context()             ? with.addresses.complete(before)
                     : !with.remote_domain.empty() ? with.addresses.complete_with(before, with.remote_domain)
                                                   : before;
        if (request.map_addresses && with.addresses.has_canonical(role)) {
            auto mapped = with.addresses.canonical(after, role);
            if (!mapped) {
                if (table::no_waiting::refused())
                    return tl::make_unexpected(mapped.error());
                fail_message(status_temporary);
                return {};
            }
            after = std::move(*mapped);
        }
        auto text = address::quote(after);
        if (text != item.text) {
            item.text = std::move(text);
            changed = true;
        }
    }
    std::string out;
    if (changed) {
        message::append_folded(out, name, address::format_addresses(items));
    } else {
        out = name;
        out += header.substr(header.find(':'));
    }
    put_header(out);
    return {};
}

void intake_message::engine::put_header(std::string_view logical) {
    if (with.smtputf8 && !is_ascii(logical))
        utf8 |= queue::sendopt_utf8_header;
    for (std::size_t at_byte = 0; at_byte <= logical.size();) {
        const auto end = std::min(logical.find('\n', at_byte), logical.size());
        put_text(logical.substr(at_byte, end - at_byte), false);
        at_byte = end + 1;
    }
}

std::string intake_message::engine::from_header(std::string_view name) const {
    std::string out(name);
    out += ": ";
    if (sender.empty())
        return out += "MAILER-DAEMON";
    const auto address = address::quote(sender);
    if (request.full_name.empty())
        return out += address;
    if (!with.full_name_charset.empty() && !is_ascii(request.full_name)) {
        const auto name_words = message::encoded_words(request.full_name, with.full_name_charset);
        return out += with.obsolete_from ? address + " (" + name_words + ")" : name_words + " <" + address + ">";
    }
    if (with.obsolete_from) {
        out += address + " (";
        for (const char c : request.full_name)
            out += c == '(' || c == ')' || c == '\\' ? ' ' : c;
        return out += ')';
    }
    const bool quoted = request.full_name.find_first_of("()<>[]:;@\\,.\"\t\r\n") != std::string::npos;
    if (quoted)
        out += '"';
    for (const char c : request.full_name) {
        if (quoted && (c == '"' || c == '\\'))
            out += '\\';
        out += c;
    }
    if (quoted)
        out += '"';
    return out += " <" + address + '>';
}

void intake_message::engine::add_missing() {
    const auto now = std::time(nullptr);
    const std::string prefix = has_resent ? "Resent-" : "";
    if (!(has_resent ? has_resent_message_id : has_message_id)) {
        const auto made = message::make_message_id(now, writer.id(), with.myhostname);
        put_header(prefix + "Message-Id: " + made);
        note_message_id(has_resent ? "resent-message-id" : "message-id", made);
    }
    if (!(has_resent ? has_resent_date : has_date))
        put_header(prefix + "Date: " + message::format_date(request.arrival.tv_sec));
    if (!(has_resent ? has_resent_from : has_from))
        put_header(from_header(prefix + "From"));
    if (!has_destination && !with.undisclosed_header.empty())
        put_header(with.undisclosed_header);
}

result<void> intake_message::engine::end_headers() {
    if (auto taken = take_header(); !taken)
        return taken;
    if (local_context() || with.always_add_missing || request.origin == origin::notice)
        add_missing();
    if (!logged_message_id)
        note_message_id("message-id", "<>");
    mime.primary_end();
    const bool autodetect = request.origin == origin::local    ? with.autodetect_local
                            : request.origin == origin::notice ? with.autodetect_notice
                                                               : false;
    if (autodetect && (utf8 & (queue::sendopt_utf8_header | queue::sendopt_utf8_sender)) != 0)
        utf8 |= queue::sendopt_smtputf8;
    at = stage::body;
    return {};
}

} // namespace mta::intake
