// Bodies of message.hpp and the stages of the engine.
//
// The order of envelope records is that of the reference, since its tools and people's scripts read them
// (docs/queue-format.md; tests/interop/sendmail.py pins it).
#include <mta/intake/message.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/intake/engine.hpp>
#include <mta/message/trace.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/table/patience.hpp>

namespace mta::intake {

using queue::record_type;

void intake_message::engine::put_number(std::string_view name, long long value) {
    writer.put_attribute(name, std::to_string(value));
}

void intake_message::engine::write_client() {
    const auto& c = request.client;
    const std::string origin_text = c.name + '[' + c.address + ']';
    const std::array<std::pair<std::string_view, std::string_view>, 14> rows{{
        {"log_client_name", c.name},
        {"log_client_address", c.address},
        {"log_client_port", c.port},
        {"log_message_origin", origin_text},
        {"log_helo_name", c.helo},
        {"log_protocol_name", c.protocol},
        {"client_name", c.name},
        {"reverse_client_name", c.reverse_name},
        {"client_address", c.address},
        {"client_port", c.port},
        {"server_address", c.server_address},
        {"server_port", c.server_port},
        {"helo_name", c.helo},
        {"protocol_name", c.protocol},
    }};
    const auto given = [&](std::string_view name) {
        return std::any_of(request.attributes.begin(), request.attributes.end(),
                           [&](const auto& pair) { return pair.first == name; });
    };
    for (const auto& [name, value] : rows)
        if (!value.empty() && !given(name)) // XFORWARD speaks for another client
            writer.put_attribute(name, value);
    put_number("client_address_type", c.address_type);
    if (!c.sasl_method.empty())
        writer.put_attribute("sasl_method", c.sasl_method);
    if (!c.sasl_username.empty())
        writer.put_attribute("sasl_username", c.sasl_username);
    if (!c.sasl_sender.empty())
        writer.put_attribute("sasl_sender", c.sasl_sender);
}

void intake_message::engine::write_envelope() {
    const bool from_smtp = request.origin == origin::smtp;
    writer.put_size_placeholder();
    const auto& filter = request.content_filter;
    const bool filtered = !filter.empty();
    if (filtered && !from_smtp)
        writer.put(record_type::filter, filter);
    if (request.arrival.tv_sec == 0)
        request.arrival = writer.created();
    writer.put_time(request.arrival);
    put_number("create_time", writer.created().tv_sec);
    if (filtered && from_smtp)
        writer.put(record_type::filter, filter);
    if (from_smtp)
        writer.put_attribute("log_ident", writer.id());
    const auto context = std::string_view(local_context() ? "local" : "remote");
    if (from_smtp)
        writer.put_attribute("rewrite_context", context);
    if (!request.dsn_envelope_id.empty())
        writer.put_attribute("envelope_id", request.dsn_envelope_id);
    if (request.dsn_ret != 0)
        put_number("ret_flags", request.dsn_ret);
    if (request.origin == origin::notice) {
        writer.put_attribute("log_message_origin", "local");
        put_number("trace_flags", request.trace_flags);
    } else if (!from_smtp) {
        writer.put_attribute("rewrite_context", context);
    }
    if (request.origin == origin::local)
        writer.put(record_type::full_name, request.full_name);
    writer.put(record_type::sender, sender);
    if (!request.encoding.empty())
        writer.put_attribute("encoding", request.encoding);
    for (const auto& [name, value] : request.attributes)
        writer.put_attribute(name, value);
    if (from_smtp)
        write_client();
    if (request.trace_flags != 0 && request.origin != origin::notice)
        put_number("trace_flags", request.trace_flags);
    if (!request.verp.empty())
        writer.put(record_type::verp, request.verp);
    if (with.delay_warning > 0 && request.origin != origin::notice) {
        std::array<char, 24> due{};
        std::snprintf(due.data(), due.size(), "%15lld", static_cast<long long>(request.arrival.tv_sec) + with.delay_warning);
        writer.put(record_type::warn_time, due.data());
    }
    if (!is_ascii(sender))
        utf8 |= queue::sendopt_utf8_sender;
    if (request.smtputf8)
        utf8 |= queue::sendopt_smtputf8;
}

void intake_message::engine::fail_message(unsigned why) {
    status |= why;
}

void intake_message::engine::put_recipient(record_type type, const intake_recipient& to, std::string_view address,
                                           std::string_view dsn_original) {
    const std::string_view original = to.original.empty() ? std::string_view(to.address) : to.original;
    std::string key = std::to_string(to.notify);
    key.append(1, '\n').append(dsn_original).append(1, '\n').append(original).append(1, '\n').append(address);
    for (char& c : key)
        c = to_lower(c);
    if (seen_recipients.contains(key))
        return;
    if (with.duplicate_filter_limit == 0 || seen_recipients.size() < with.duplicate_filter_limit)
        seen_recipients.insert(std::move(key));
    if (to.notify != 0)
        put_number("notify_flags", to.notify);
    if (!dsn_original.empty())
        writer.put_attribute("dsn_orig_rcpt", dsn_original);
    writer.put(record_type::original_recipient, original);
    writer.put(type, address);
    ++recipients;
    notify |= to.notify;
}

result<void> intake_message::engine::add_recipient(const intake_recipient& to, bool automatic) {
    if (status != status_ok)
        return {};
    std::string address = with.addresses.complete(to.address.empty() ? with.empty_recipient : to.address);
    std::string dsn = to.dsn_original;
    if (dsn.empty() && !automatic) {
        // A submitter over SMTP said the address in its quoted form; local mail never had one.
        if (request.origin == origin::smtp)
            dsn = address::quote(to.original.empty() ? to.address : to.original);
        else
            dsn = address;
        dsn.insert(0, is_ascii(dsn) ? "rfc822;" : "utf-8;");
    }
    if (request.map_addresses && with.addresses.has_canonical(address_role::envelope_recipient)) {
        auto mapped = with.addresses.canonical(address, address_role::envelope_recipient);
        if (!mapped)
            return tl::make_unexpected(mapped.error());
        address = std::move(*mapped);
    }
    if (!is_ascii(address) && request.origin == origin::local && with.autodetect_local)
        utf8 |= queue::sendopt_smtputf8;
    if (!request.map_addresses) {
        put_recipient(record_type::recipient, to, address, dsn);
        return {};
    }
    auto expanded = with.addresses.expand(address);
    if (!expanded) {
        if (table::no_waiting::refused())
            return tl::make_unexpected(expanded.error());
        alias_trouble = expanded.error().code == errc::too_large;
        log.warning(writer.id() + ": " +
                         (alias_trouble ? expanded.error().detail
                                        : "virtual_alias_maps map lookup problem for " + address + ": " +
                                              expanded.error().text() + " -- message not accepted, try again later"));
        fail_message(status_temporary);
        return {};
    }
    for (const auto& one : *expanded)
        put_recipient(record_type::recipient, to, one, dsn);
    return {};
}

void intake_message::engine::put_text(std::string_view line, bool unterminated) {
    // The exact limit is the submitter's business; this one keeps what we add from growing without bound.
    if (with.content_limit != 0 && writer.tell() - data_offset + static_cast<long long>(line.size()) > with.content_limit) {
        fail_message(status_size);
        return;
    }
    writer.put_line(line, unterminated, with.line_length_limit);
    record_open = unterminated;
}

void intake_message::engine::start_content() {
    writer.put(record_type::message, {});
    data_offset = writer.tell();
    at = stage::header;
    const auto when = request.arrival.tv_sec;
    std::string received;
    if (request.origin == origin::smtp) {
        const auto& c = request.client;
        std::string storage;
        const auto protocol = request.smtputf8 && c.protocol.starts_with('E') ? "UTF8" + c.protocol.substr(1) : c.protocol;
        received = message::received_by_smtp({.helo = c.helo,
                                              .client_name = c.name,
                                              .client_address = c.address,
                                              .myhostname = with.myhostname,
                                              .mail_name = with.mail_name,
                                              .protocol = protocol,
                                              .queue_id = writer.id(),
                                              .recipient = address::quoted_view(only_recipient, storage),
                                              .authenticated_user = {},
                                              .tls = c.tls_trace,
                                              .when = when});
    } else if (request.origin == origin::local) {
        received = message::received_by_pickup(with.myhostname, with.mail_name, request.uid, writer.id(), when);
    } else if (request.origin == origin::notice) {
        received = message::received_internal(with.myhostname, with.mail_name, writer.id(), when);
    } else {
        return; // a client of the cleanup service brings its own
    }
    put_header(received);
    ++hops;
}

void intake_message::engine::body_line(std::string_view line, bool unterminated, bool first_piece) {
    if (first_piece && with.mime_processing && mime.active())
        mime.body_line(line);
    put_text(line, unterminated);
}

result<void> intake_message::engine::end_content() {
    if (at == stage::envelope)
        start_content();
    if (at == stage::header)
        if (auto ended = end_headers(); !ended)
            return ended;
    if (record_open)
        writer.put(record_type::text, {});
    record_open = false;
    data_end = writer.tell();
    writer.put(record_type::extracted, {});
    at = stage::extracted;
    if (mime.eight_bit() || request.encoding == "8bit")
        writer.put_attribute("encoding", "8bit");
    return {};
}

verdict intake_message::engine::judge() const {
    if (const auto& trouble = writer.failed()) {
        const bool space = trouble->code == std::errc::no_space_on_device || trouble->code.value() == EDQUOT;
        const bool size = trouble->code == std::errc::file_too_large;
        if (size)
            return {status_size, 552, "5.3.4", "Error: message file too big"};
        if (space)
            return {status_write, 452, "4.3.1", "Error: insufficient system storage"};
        return {status_write, 451, "4.3.0", "Error: queue file write error"};
    }
    if ((status & status_temporary) != 0) {
        if (alias_trouble)
            return {status, 451, "4.6.0", "Alias expansion error"};
        return {status, 451, "4.3.0", "Error: queue file write error"};
    }
    if ((status & status_bad) != 0)
        return {status, 451, "4.3.0", "Error: internal error"};
    if ((status & status_write) != 0)
        return {status, 451, "4.3.0", "Error: queue file write error"};
    if ((status & status_size) != 0)
        return {status, 552, "5.3.4", "Error: message file too big"};
    if ((status & status_hops) != 0)
        return {status, 554, "5.4.0", "Error: too many hops"};
    if ((status & status_content) != 0)
        return {status, 550, "5.7.1", "Error: message content rejected"};
    if (recipients == 0)
        return {status_no_recipients, 550, "5.1.0", "Error: no recipients specified"};
    return {};
}

void intake_message::engine::settle_rejection() {
    // Nobody is left to tell a local sender but the mail system: the error transport returns the message.
    if (request.origin != origin::local || sender.empty() || recipients == 0 || status != status_hops)
        return;
    writer.put(record_type::filter, "error:5.4.0 too many hops");
    status = status_ok;
}

intake_message::intake_message(std::unique_ptr<engine> begun) : engine_(std::move(begun)) {}
intake_message::intake_message(intake_message&&) noexcept = default;
intake_message& intake_message::operator=(intake_message&&) noexcept = default;
intake_message::~intake_message() = default;

intake_message intake_message::begin_in(intake_context& context, queue::queue_file_writer file) {
    return intake_message(std::make_unique<engine>(context.inside(), std::move(file)));
}

result<void> intake_message::describe(intake_request request) {
    auto& e = *engine_;
    auto& addresses = e.with.addresses;
    e.sender = request.sender.empty() ? std::string() : addresses.complete(request.sender);
    if (!e.sender.empty() && request.map_addresses && addresses.has_canonical(address_role::envelope_sender)) {
        auto mapped = addresses.canonical(e.sender, address_role::envelope_sender);
        if (!mapped)
            return tl::make_unexpected(mapped.error());
        e.sender = std::move(*mapped);
    }
    e.request = std::move(request);
    e.write_envelope();
    return {};
}

result<intake_message> intake_message::begin(intake_context& context, intake_request request) {
    auto file = queue::queue_file_writer::create(*context.inside().where, queue::directory::incoming);
    if (!file)
        return tl::make_unexpected(file.error());
    auto begun = begin_in(context, std::move(*file));
    if (auto described = begun.describe(std::move(request)); !described)
        return tl::make_unexpected(described.error());
    return begun;
}

const std::string& intake_message::queue_id() const noexcept {
    return engine_->writer.id();
}

result<void> intake_message::recipient(const intake_recipient& to) {
    auto& e = *engine_;
    if (e.at != engine::stage::envelope && e.at != engine::stage::extracted)
        return fail(errc::malformed, "a recipient in the middle of the text");
    if (auto added = e.add_recipient(to); !added)
        return added;
    e.only_recipient = e.recipient_calls++ == 0 ? (to.original.empty() ? to.address : to.original) : std::string();
    return {};
}

result<void> intake_message::done_recipient(const intake_recipient& to) {
    engine_->put_recipient(record_type::done, to, to.address, to.dsn_original);
    return {};
}

result<void> intake_message::content_line(std::string_view line, bool unterminated) {
    auto& e = *engine_;
    if (e.at == engine::stage::envelope)
        e.start_content();
    if (e.at != engine::stage::header && e.at != engine::stage::body)
        return fail(errc::malformed, "text after the end of the message");
    const bool first_piece = !e.line_open;
    if (doomed()) {
        e.line_open = unterminated;
        return {};
    }
    if (e.with.replace_stray_cr_lf && line.find_first_of("\r\n") != std::string_view::npos) {
        e.scratch = line;
        std::replace(e.scratch.begin(), e.scratch.end(), '\r', ' ');
        std::replace(e.scratch.begin(), e.scratch.end(), '\n', ' ');
        line = e.scratch;
    }
    if (e.at == engine::stage::body)
        e.body_line(line, unterminated, first_piece);
    else if (auto taken = e.header_line(line, unterminated, first_piece); !taken)
        return taken;
    e.line_open = unterminated;
    return {};
}

result<void> intake_message::end_content() {
    if (engine_->at < engine::stage::extracted)
        return engine_->end_content();
    return {};
}

result<verdict> intake_message::finish() {
    auto& e = *engine_;
    if (e.at == engine::stage::finished)
        return fail(errc::malformed, "finished twice");
    if (e.at != engine::stage::extracted)
        if (auto ended = e.end_content(); !ended)
            return tl::make_unexpected(ended.error());
    if (!e.with.always_bcc.empty() && e.request.add_always_bcc && e.request.origin != origin::notice) {
        auto added = e.add_recipient({.address = e.with.always_bcc, .original = {}, .dsn_original = {},
                                      .notify = queue::notify_never},
                                     true);
        if (!added)
            return tl::make_unexpected(added.error());
    }
    e.settle_rejection();
    e.at = engine::stage::finished;
    auto outcome = e.judge();
    if (!outcome.accepted()) {
        e.writer.discard();
        return outcome;
    }
    queue::size_record size;
    size.content_size = e.data_end - e.data_offset;
    size.data_offset = e.data_offset;
    size.recipients = e.recipients;
    size.hints = 2LL * e.notify;
    size.content_length = size.content_size;
    size.send_options = e.utf8;
    auto sized = e.writer.set_size(size);
    if (sized)
        sized = e.writer.commit_mark();
    if (!sized) {
        outcome = e.judge();
        if (outcome.accepted())
            outcome = {status_write, 451, "4.3.0", "Error: queue file write error"};
        e.log.warning(e.writer.id() + ": " + sized.error().text());
        e.writer.discard();
        return outcome;
    }
    e.committed = true;
    return outcome;
}

result<void> intake_message::sync() {
    if (!engine_->committed)
        return fail(errc::malformed, "sync before an accepting finish");
    return engine_->writer.sync();
}

result<void> intake_message::keep() {
    if (!engine_->committed)
        return fail(errc::malformed, "keep before an accepting finish");
    return engine_->writer.keep();
}

bool intake_message::doomed() const noexcept {
    return (engine_->status & ~static_cast<unsigned>(status_hops)) != status_ok || engine_->writer.failed().has_value();
}

long long intake_message::content_length() const noexcept {
    return engine_->data_offset == 0 ? 0 : engine_->writer.tell() - engine_->data_offset;
}

} // namespace mta::intake
