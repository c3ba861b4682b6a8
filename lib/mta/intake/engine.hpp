// The engine behind intake_message: where the message is, and what was seen of it so far.
//
// Stages follow each other: envelope, header, body, extracted, finished.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include <mta/intake/message.hpp>
#include <mta/intake/parts.hpp>
#include <mta/message/header.hpp>
#include <mta/message/mime.hpp>
#include <mta/queue/queue_file_writer.hpp>

namespace mta::intake {

struct intake_message::engine {
    engine(intake_context::parts& shared, queue::queue_file_writer file)
        : with(shared), log(shared.log), writer(std::move(file)),
          mime({shared.mime_nesting_limit, shared.mime_boundary_limit, shared.header_size_limit}) {}

    enum class stage { envelope, header, body, extracted, finished };

    // envelope.ipp
    void write_envelope();
    void write_client();
    void put_number(std::string_view name, long long value);
    void put_recipient(queue::record_type type, const intake_recipient& to, std::string_view address,
                       std::string_view dsn_original);
    // automatic: the mail system's own copy (always_bcc), which nobody reports about.
    [[nodiscard]] result<void> add_recipient(const intake_recipient& to, bool automatic = false);
    void fail_message(unsigned status);

    // message.ipp
    void start_content();
    void body_line(std::string_view line, bool unterminated, bool first_piece);
    void put_text(std::string_view line, bool unterminated);
    [[nodiscard]] result<void> end_content();

    // outcome.ipp
    [[nodiscard]] verdict judge() const;
    void settle_rejection();

    // headers.ipp
    // These fail only when a table has to wait and the caller's thread may not; then they can be called again.
    [[nodiscard]] result<void> header_line(std::string_view line, bool unterminated, bool first_piece);
    [[nodiscard]] result<void> take_header(); // the logical header collected so far
    [[nodiscard]] result<void> end_headers(); // what is missing is added
    void put_header(std::string_view logical);
    [[nodiscard]] result<void> rewrite_header(const message::header_info& info, std::string_view name,
                                              std::string_view value);
    void add_missing();
    void note_message_id(std::string_view label, std::string_view value);
    [[nodiscard]] std::string from_header(std::string_view name) const;

    [[nodiscard]] bool local_context() const noexcept { return request.context == rewrite_context::local; }

    intake_context::parts& with;
    logger log; // the context's when the message began
    intake_request request;
    queue::queue_file_writer writer;
    message::mime_tracker mime;
    stage at = stage::envelope;

    std::string sender; // completed
    std::unordered_set<std::string> seen_recipients;
    long long recipient_calls = 0;
    std::string only_recipient; // as the client gave it, for "for <…>"
    long long recipients = 0;
    int notify = 0;

    std::string header;       // the logical header being collected, lines parted by "\n"
    std::string scratch;      // a line with stray characters replaced
    bool header_cut = false;  // over header_size_limit: the rest of it is dropped
    bool line_open = false;   // the last piece had no line end
    bool first_line = true;
    bool record_open = false; // the last record was "L"
    long long data_offset = 0;
    long long data_end = 0;
    long long hops = 0;
    long long utf8 = 0; // queue::sendopt_* bits
    unsigned status = status_ok;
    bool alias_trouble = false; // the reason for status_temporary

    bool has_from = false;
    bool has_date = false;
    bool has_message_id = false;
    bool has_destination = false;
    bool has_resent = false;
    bool has_resent_from = false;
    bool has_resent_date = false;
    bool has_resent_message_id = false;
    bool logged_message_id = false;
    bool committed = false;
};

} // namespace mta::intake
