// What replies and broken connections mean for the recipients of a client session.
#include <mta/core/text.hpp>
#include <mta/smtp/client_session.hpp>

namespace mta::smtp {

std::string reply_words(const reply& answer, char between) {
    const std::string code = answer.code == 0 ? std::string() : std::to_string(answer.code);
    std::string out;
    for (std::size_t i = 0; i < answer.lines.size(); ++i) {
        const bool last = i + 1 == answer.lines.size() && !answer.lines_dropped;
        if (i > 0)
            out += between;
        out += code;
        if (!code.empty() && (!last || !answer.lines[i].empty()))
            out += last ? ' ' : '-';
        out += answer.lines[i];
    }
    return printable(out);
}

std::string_view client_session::phase() const noexcept {
    if (state_ == state::content)
        return "sending message body";
    switch (current_step()) {
    case step::greeting:
        return "receiving the initial server greeting";
    case step::ehlo:
        return options_.lmtp ? "performing the LHLO handshake" : "performing the EHLO handshake";
    case step::helo:
        return "performing the HELO handshake";
    case step::mail:
        return "sending MAIL FROM";
    case step::rcpt:
        return "sending RCPT TO";
    case step::data:
        return "sending DATA command";
    case step::final:
        return "sending end of data -- message may be sent more than once";
    case step::rset:
        return "sending final RSET";
    }
    return "sending QUIT";
}

void client_session::fail_connection(std::string_view text_before, std::string_view text_after) {
    if (state_ == state::closed)
        return;
    if (have_transaction_) {
        std::string reason(text_before);
        reason.append(options_.peer).append(text_after).append(phase());
        failure_ = {true, false, !established_, "4.4.2", std::move(reason), {}};
        for (auto& one : results_)
            if (one.verdict == client_verdict::pending)
                one = {client_verdict::soft, failure_.dsn, failure_.reason, {}};
    }
    close();
}

void client_session::on_lost() { fail_connection("lost connection with ", " while "); }
void client_session::on_timeout() { fail_connection("conversation with ", " timed out while "); }

void client_session::on_local_error(std::string dsn, std::string reason) {
    failure_ = {true, false, false, std::move(dsn), std::move(reason), {}};
    for (auto& one : results_)
        if (one.verdict == client_verdict::pending)
            one = {client_verdict::soft, failure_.dsn, failure_.reason, {}};
    output_.clear();
    close();
}

client_result client_session::judge(const reply& answer, std::string_view command_name) const {
    client_result made;
    made.reply = reply_words(answer);
    const auto code = answer.enhanced();
    // Only the end of data can be answered with success, and RCPT when nothing else is asked; a 2xx to DATA itself, or
    // a 3xx to anything else, is a server out of step. It has refused nothing, so the mail is kept for later, where the
    // reference returns it.
    if (answer.success() && (command_name == end_of_data || transaction_.probe)) {
        made.verdict = client_verdict::sent;
        made.dsn = code ? code->text() : "2.0.0";
        made.reason = made.reply;
        return made;
    }
    const bool refusal = answer.temporary() || answer.permanent();
    made.verdict = answer.permanent() ? client_verdict::hard : client_verdict::soft;
    made.dsn = !refusal ? "4.5.0" : code ? code->text() : std::to_string(answer.category()) + ".0.0";
    made.reason = (answer.success() ? "Protocol error: host " : "host ") + options_.peer + " said: " + made.reply +
                  " (in reply to " + std::string(command_name) + ")";
    return made;
}

void client_session::settle(std::size_t index, const reply& answer, std::string_view command_name) {
    results_[index] = judge(answer, command_name);
}

// A recipient that was refused before keeps its own answer.
void client_session::settle_pending(const reply& answer, std::string_view command_name, bool only_accepted) {
    const client_result made = judge(answer, command_name);
    for (std::size_t i = 0; i < results_.size(); ++i)
        if (results_[i].verdict == client_verdict::pending && (!only_accepted || accepted_[i]))
            results_[i] = made;
}

void client_session::fail_site(const reply& answer, bool soften) {
    const bool refusal = answer.temporary() || answer.permanent();
    failure_.failed = failure_.site = true;
    failure_.hard = answer.permanent() && !soften;
    failure_.reply = reply_words(answer);
    const auto code = answer.enhanced();
    failure_.dsn = !refusal ? "4.5.0" : code ? code->text() : std::to_string(answer.category()) + ".0.0";
    if (soften)
        failure_.dsn.front() = '4';
    failure_.reason = "host " + options_.peer + " refused to talk to me: " + failure_.reply;
    for (auto& one : results_)
        one = {failure_.hard ? client_verdict::hard : client_verdict::soft, failure_.dsn, failure_.reason,
               failure_.reply};
    if (state_ != state::closed && answer.code != 421)
        quit();
    else
        close();
}

std::string client_session::peer_and_port() const {
    return options_.port == 0 ? options_.peer : options_.peer + ":" + std::to_string(options_.port);
}

void client_session::warn_when_cut(const reply& answer) {
    const auto told = [&](std::string_view what) {
        warnings_.push_back(peer_and_port() + ": " + std::string(what) + reply_words(answer, '?').substr(0, 30) + "...");
    };
    const std::string limit = std::to_string(reply_limits().kept);
    if (answer.line_cut)
        told("response longer than " + limit + ": ");
    if (answer.lines_dropped)
        told("multi-line response longer than " + limit + " ");
}

// A line that is no reply, or a reply to nothing: the server is out of step, nothing it says counts any more.
void client_session::protocol_trouble(std::string_view line) {
    const std::string shown = printable(line.substr(0, 100));
    warnings_.push_back(std::string("non-") + (options_.lmtp ? "LMTP" : features_.esmtp ? "ESMTP" : "SMTP") +
                        " response from " + peer_and_port() + ": " + shown);
    in_step_ = false;
    if (have_transaction_) {
        failure_ = {true, false, !established_, "4.5.0",
                    "Protocol error: host " + options_.peer + " said: " + shown + " while " + std::string(phase()), {}};
        for (auto& one : results_)
            if (one.verdict == client_verdict::pending)
                one = {client_verdict::soft, failure_.dsn, failure_.reason, {}};
    }
    output_.clear();
    close();
}

} // namespace mta::smtp
