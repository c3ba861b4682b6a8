// Bodies of message.hpp, and the engine's stages from the text on.
#include <mta/intake/message.hpp>

#include <algorithm>

#include <mta/address/parts.hpp>
#include <mta/intake/engine.hpp>
#include <mta/message/trace.hpp>
#include <mta/queue/envelope.hpp>

namespace mta::intake {

using queue::record_type;

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
    if (e.request.attributes.size() > e.with.attribute_limit) {
        e.log.warning(e.writer.id() + ": message rejected: attribute count exceeds limit " +
                      std::to_string(e.with.attribute_limit));
        e.fail_message(status_bad);
    }
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
