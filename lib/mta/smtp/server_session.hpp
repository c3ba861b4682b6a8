// One SMTP session, server side, as a state machine: bytes in; replies, questions and message content out.
//
// RFC 5321 with PIPELINING, SIZE, VRFY, ETRN (RFC 1985), ENHANCEDSTATUSCODES, 8BITMIME, DSN (RFC 3461) and
// CHUNKING (RFC 3030). No TLS and no AUTH yet. Reply texts and log lines are those that clients and log
// readers of the reference know (tests/interop/smtpd.py compares them).
//
// It owns no socket, clock, table or file. Whoever pumps it calls next() in a loop and does what the step
// says:
//
//     session.start();
//     for (;;)
//         switch (session.next()) {
//         case step::read:    write output() if any, read into read_buffer(), received(n)
//         case step::check:   ask the policy about stage(), answer(verdict)
//         case step::line:    queue line()
//         ...
//
// Replies of pipelined commands gather in output() and are written together. Memory: one read buffer (small
// between messages), one command line, one transaction's addresses; recipients are kept by the pump, not
// here. Nothing grows with the number of commands. Safe on hostile input (fuzz_smtp_server).
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/log.hpp>
#include <mta/smtp/command.hpp>
#include <mta/smtp/data_decoder.hpp>
#include <mta/smtp/server_settings.hpp>

namespace mta::smtp {

struct server_peer {
    std::string name = "unknown";       // verified host name
    std::string address = "unknown";    // "192.0.2.1"
    bool bare_newline_excluded = false; // matches smtpd_forbid_bare_newline_exclusions
    unsigned discard_ehlo = 0;          // added to the settings' (smtpd_discard_ehlo_keyword_address_maps)
    [[nodiscard]] std::string text() const { return name + '[' + address + ']'; }
};

// What the policy is asked about.
enum class check_stage { connect, helo, mail, recipient, data, end_of_data, vrfy, etrn };

// The answer to a question. An empty reply means go on. Otherwise code and text without line end, such as
// "554 5.7.1 <x>: Relay access denied"; 421 and 521 end the session.
struct verdict {
    std::string reply;
    [[nodiscard]] bool ok() const noexcept { return reply.empty(); }
};

struct server_recipient {
    std::string address;       // internal form
    std::string given;         // the client's words, for VRFY's reply
    std::string dsn_orig_rcpt; // ORCPT as "rfc822;user@example", decoded, or empty
    unsigned notify = 0;       // notify_flag
};

struct server_transaction {
    bool active = false;   // after an accepted MAIL
    std::string sender;    // internal form
    std::string dsn_envid; // decoded
    unsigned dsn_ret = 0;  // ret_flag
    std::string body;      // "", "7bit" or "8bit": the queue file's encoding
    long long size = 0;    // SIZE=
    int recipients = 0;    // accepted
    std::string last_recipient;
};

struct log_line {
    severity level;
    std::string text;
};

class server_session {
public:
    enum class step {
        read,      // write output(), then read into read_buffer() and tell received(), connection_lost() or
                   // timed_out()
        pause,     // wait settings.error_sleep, then next(); output() is meant to be late
        check,     // a question about stage(): answer()
        recipient, // recipient() was permitted: keep it, then answer({}) or with what went wrong
        line,      // line(), unterminated(): content. Then next(), or refuse_content() first
        commit,    // all content was given: answer() with the whole reply, 2xx when the message is safe
        flush,     // mail for etrn_domain() is asked for: have it tried now, then answer({}), or why it is not
        discard,   // forget the message begun, if any; then next()
        close,     // write output() and close
    };

    // settings must outlive the session.
    server_session(const server_settings& settings, server_peer peer);

    // Begins. early: bytes that the client sent before the greeting.
    void start(bool early = false);
    [[nodiscard]] step next();
    void answer(verdict v);

    // After step::read only: where bytes go; empty of earlier ones. received() may be told fewer than its
    // size.
    [[nodiscard]] std::span<char> read_buffer();
    void received(std::size_t size);
    // The same by copying; any number of bytes.
    void feed(std::string_view bytes);
    // The peer closed or the connection broke; the next steps are discard (if a transaction was open) and
    // close.
    void connection_lost();
    // Nothing came within settings.timeout.
    void timed_out();
    // The service stops: the next command is answered 421 and the session ends. Between messages also without
    // one.
    void shut_down() noexcept { stopping_ = true; }
    // The content cannot be queued: the rest of it is skipped and then answered with reply.
    void refuse_content(std::string reply);
    // The queue ID of the transaction, for log lines.
    void set_queue_id(std::string id) { queue_id_ = std::move(id); }
    [[nodiscard]] const std::string& queue_id() const noexcept { return queue_id_; }

    // Bytes for the client; the pump writes them and clears it.
    [[nodiscard]] std::string& output() noexcept { return output_; }

    [[nodiscard]] check_stage stage() const noexcept { return stage_; }
    // "RCPT", "END-OF-MESSAGE" …: how the stage is called in reject lines of the log.
    [[nodiscard]] const std::string& where() const noexcept { return where_; }
    [[nodiscard]] const server_recipient& recipient() const noexcept { return recipient_; }
    [[nodiscard]] const server_transaction& transaction() const noexcept { return transaction_; }
    [[nodiscard]] const server_peer& peer() const noexcept { return peer_; }
    // At stage helo the name under question, else the accepted one; empty when there is none.
    [[nodiscard]] const std::string& helo() const noexcept {
        return stage_ == check_stage::helo ? new_helo_ : helo_;
    }
    [[nodiscard]] std::string_view protocol() const noexcept { return esmtp_ ? "ESMTP" : "SMTP"; }
    [[nodiscard]] const std::string& etrn_domain() const noexcept { return etrn_domain_; }
    [[nodiscard]] std::string_view line() const noexcept { return decoder_.text(); }
    [[nodiscard]] bool unterminated() const noexcept { return decoder_.unterminated(); }
    [[nodiscard]] bool in_content() const noexcept { return phase_ == phase::data || phase_ == phase::chunk; }
    // Whether the client talked ahead of its turn.
    [[nodiscard]] bool pipelined() const noexcept { return pipelining_told_; }
    // Whether a client waits between messages: it may be disconnected by a service that stops.
    [[nodiscard]] bool idle() const noexcept { return phase_ == phase::command && !transaction_.active; }

    // Lines for the log, oldest first; emptied by the call.
    [[nodiscard]] std::vector<log_line> take_log() { return std::exchange(log_, {}); }
    // "lost connection after RCPT from name[addr]" and the like; empty when there is nothing to say.
    [[nodiscard]] std::string ending() const;
    // "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4" for the disconnect line.
    [[nodiscard]] std::string counters() const;
    // " from=<a@b> to=<c@d> proto=ESMTP helo=<x>", with what is known; the tail of reject lines.
    [[nodiscard]] std::string log_context(bool with_recipient) const;

private:
    enum class phase { connect, command, data, chunk, skip_chunk, closing, closed };
    enum class pending {
        none,
        connect,
        helo,
        mail,
        recipient,
        add_recipient,
        data,
        chunk,
        end_of_data,
        commit,
        vrfy,
        etrn,
        flush
    };
    enum command_index : unsigned {
        c_helo,
        c_ehlo,
        c_starttls,
        c_auth,
        c_mail,
        c_rcpt,
        c_data,
        c_bdat,
        c_rset,
        c_noop,
        c_vrfy,
        c_etrn,
        c_quit,
        c_xclient,
        c_xforward,
        c_unknown,
        c_count
    };
    using words = std::vector<std::string_view>;

    bool take_command();
    void run_command();
    void dispatch(unsigned index, const words& args);
    void do_helo(const words& args, bool esmtp);
    void do_mail(const words& args);
    void do_rcpt(const words& args);
    void do_data(const words& args);
    void do_bdat(const words& args);
    void do_vrfy(const words& args);
    void do_etrn(const words& args);
    bool mail_option(std::string_view option);
    bool rcpt_option(std::string_view option);
    step next_content();
    step next_chunk();
    bool count_line();
    step end_content();
    void after_message(bool ok);
    void reset_transaction();
    void check(check_stage stage, pending what, step kind = step::check);
    void finish(bool ok);
    void reply(std::string_view text);
    void refuse(std::string_view text);
    void hang_up(std::string_view text);
    void bad_address(std::string_view command, std::string_view text);
    bool pipelining_broken(std::string_view after);
    void info(std::string text);
    void warn(std::string text);
    [[nodiscard]] std::string ehlo_reply();
    [[nodiscard]] unsigned discarded() const noexcept { return settings_->discard_ehlo | peer_.discard_ehlo; }
    [[nodiscard]] bare_newline newline_policy() const noexcept;

    const server_settings* settings_;
    server_peer peer_;
    std::vector<char> buffer_;
    std::string_view input_; // what of buffer_ is not used yet
    std::string command_;    // the current command line, cut at the line limit
    bool line_ready_ = false, too_long_ = false, bare_line_ = false;
    std::string output_, helo_, new_helo_, queue_id_, where_ = "CONNECT", ending_, denied_, content_reply_,
                                                      ask_, etrn_domain_;
    phase phase_ = phase::connect;
    pending pending_ = pending::none;
    step pending_step_ = step::check;
    check_stage stage_ = check_stage::connect;
    server_recipient recipient_;
    server_transaction transaction_;
    data_decoder decoder_;
    long long content_size_ = 0;
    std::size_t chunk_left_ = 0, chunk_size_ = 0;
    bool chunk_last_ = false, chunked_ = false, chunk_failed_ = false;
    bool esmtp_ = false, new_esmtp_ = false, after_message_ = false, in_data_ = false;
    bool pause_due_ = false, discard_due_ = false, pipelining_told_ = false, stopping_ = false;
    unsigned command_index_ = c_unknown;
    long long errors_ = 0, junk_ = 0, overshoot_ = 0;
    std::array<std::array<unsigned, 2>, c_count> counts_{};
    std::vector<log_line> log_;
};

} // namespace mta::smtp
