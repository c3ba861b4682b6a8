#include <cassert>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/client_session.hpp>

namespace mta::smtp {

namespace {

// Commands sent before their replies are read. More could fill both directions of the connection at once.
constexpr std::size_t pipeline_bytes = 8192;

constexpr std::string_view end_of_data = "end of DATA command";

std::string notify_words(int bits) {
    static constexpr std::pair<int, std::string_view> words[] = {
        {1, "NEVER"}, {2, "SUCCESS"}, {4, "FAILURE"}, {8, "DELAY"}};
    std::string out;
    for (const auto& [bit, word] : words)
        if ((bits & bit) != 0)
            out.append(out.empty() ? "" : ",").append(word);
    return out;
}

// No byte of an address may end or split the command it stands in.
bool fits_command(std::string_view text) {
    for (const char c : text)
        if (c == '\r' || c == '\n' || c == '\0')
            return false;
    return true;
}

} // namespace

std::string reply_words(const reply& answer) {
    const std::string code = answer.code == 0 ? std::string() : std::to_string(answer.code);
    std::string out;
    for (std::size_t i = 0; i < answer.lines.size(); ++i) {
        const bool last = i + 1 == answer.lines.size();
        if (i > 0)
            out += ' ';
        out += code;
        if (!code.empty() && (!last || !answer.lines[i].empty()))
            out += last ? ' ' : '-';
        out += answer.lines[i];
    }
    return printable(out);
}

std::string xtext(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > ' ' && byte < 127 && c != '+' && c != '=') {
            out += c;
        } else {
            out += '+';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

client_session::client_session(client_options options) : options_(std::move(options)) {
    awaited_.push_back({step::greeting});
}

void client_session::begin(client_transaction transaction) {
    assert(!have_transaction_);
    transaction_ = std::move(transaction);
    results_.assign(transaction_.recipients.size(), {});
    accepted_.assign(transaction_.recipients.size(), false);
    accepted_count_ = 0;
    next_ = 0;
    mail_failed_ = data_go_ = false;
    failure_ = {};
    have_transaction_ = true;
    ++transactions_;
    if (state_ == state::idle)
        start_transaction();
}

std::string client_session::take_output() {
    std::string out;
    out.swap(output_);
    return out;
}

std::vector<std::string> client_session::take_warnings() {
    std::vector<std::string> out;
    out.swap(warnings_);
    return out;
}

client_need client_session::wants() const noexcept {
    if (state_ == state::closed)
        return client_need::closed;
    if (state_ == state::content)
        return client_need::content;
    if (state_ == state::idle && !have_transaction_)
        return client_need::done;
    return client_need::reply;
}

client_session::step client_session::current_step() const noexcept {
    if (!awaited_.empty())
        return awaited_.front().what;
    return state_ == state::content ? step::final : step::mail;
}

client_time client_session::time_stage() const noexcept {
    if (state_ == state::content)
        return client_time::data_transfer;
    if (quitting_ && awaited_.empty())
        return client_time::quit;
    switch (current_step()) {
    case step::greeting:
        return client_time::greeting;
    case step::ehlo:
    case step::helo:
        return client_time::helo;
    case step::mail:
        return client_time::mail;
    case step::rcpt:
        return client_time::rcpt;
    case step::data:
        return client_time::data_init;
    case step::final:
        return client_time::data_done;
    case step::rset:
        return client_time::rset;
    }
    return client_time::quit;
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

bool client_session::discards(std::string_view keyword) const {
    for (const auto& word : options_.discard)
        if (iequals(word, keyword))
            return true;
    return false;
}

bool client_session::reusable() const noexcept {
    return state_ == state::idle && in_step_ && !quitting_ && awaited_.empty() && !reader_.partial();
}

void client_session::command(step what, std::string text, std::size_t recipient) {
    output_ += text;
    output_ += "\r\n";
    awaited_.push_back({what, recipient});
}

void client_session::on_bytes(std::string_view bytes) {
    while (!bytes.empty() && state_ != state::closed) {
        if (awaited_.empty()) {
            // Nobody asked. A transaction in progress cannot be trusted any more; one that is over can.
            in_step_ = false;
            if (state_ == state::content)
                protocol_trouble(bytes.substr(0, std::min(bytes.find_first_of("\r\n"), std::size_t{100})));
            else if (state_ == state::idle)
                close();
            return;
        }
        auto whole = reader_.feed(bytes);
        if (!whole) {
            protocol_trouble(reader_.offending());
            return;
        }
        if (*whole)
            on_reply(**whole);
    }
}

void client_session::on_reply(const reply& answer) {
    const expected asked = awaited_.front();
    awaited_.pop_front();
    switch (asked.what) {
    case step::greeting:
        on_greeting(answer);
        return;
    case step::ehlo:
    case step::helo:
        on_hello(answer, asked.what);
        return;
    case step::mail:
        if (!answer.success()) {
            mail_failed_ = true;
            settle_pending(answer, "MAIL FROM command", false);
        }
        break;
    case step::rcpt:
        if (mail_failed_)
            break;
        if (answer.success()) {
            accepted_[asked.recipient] = true;
            ++accepted_count_;
        } else {
            settle(asked.recipient, answer, "RCPT TO command");
        }
        break;
    case step::data:
        data_go_ = answer.category() == 3;
        if (!data_go_ && accepted_count_ > 0 && !mail_failed_)
            settle_pending(answer, "DATA command", true);
        break;
    case step::final:
        on_final(answer);
        return;
    case step::rset:
        if (!answer.success())
            in_step_ = false;
        state_ = state::idle;
        if (!in_step_)
            close();
        return;
    }
    if (awaited_.empty())
        send_more();
}

void client_session::on_greeting(const reply& answer) {
    if (!answer.success()) {
        fail_site(answer, options_.soften_greeting);
        return;
    }
    start_hello(options_.never_ehlo ? step::helo : step::ehlo);
}

void client_session::start_hello(step what) {
    state_ = state::hello;
    const std::string_view verb = options_.lmtp ? "LHLO " : what == step::ehlo ? "EHLO " : "HELO ";
    command(what, std::string(verb) + options_.helo_name);
}

void client_session::on_hello(const reply& answer, step what) {
    if (!answer.success()) {
        if (what == step::ehlo && !options_.lmtp && answer.code != 421)
            start_hello(step::helo);
        else
            fail_site(answer, false);
        return;
    }
    const auto words = split(answer.lines.front(), " \t");
    if (!options_.my_hostname.empty() && !words.empty() && iequals(words.front(), options_.my_hostname)) {
        warnings_.push_back("host " + options_.peer + " replied to HELO/EHLO with my own hostname " +
                            options_.my_hostname);
        failure_ = {true, true, true, "5.4.6", "mail for " + options_.nexthop + " loops back to myself", {}};
        for (auto& one : results_)
            one = {client_verdict::hard, failure_.dsn, failure_.reason, {}};
        quit();
        return;
    }
    if (what == step::ehlo)
        read_features(answer);
    established_ = true;
    state_ = state::idle;
    if (have_transaction_)
        start_transaction();
}

void client_session::read_features(const reply& answer) {
    features_.esmtp = true;
    for (std::size_t i = 1; i < answer.lines.size(); ++i) {
        const auto words = split(answer.lines[i], " =\t");
        if (words.empty() || discards(words.front()))
            continue;
        const auto word = words.front();
        if (iequals(word, "PIPELINING")) {
            features_.pipelining = true;
        } else if (iequals(word, "8BITMIME")) {
            features_.eight_bit = true;
        } else if (iequals(word, "SIZE")) {
            features_.size = true;
            if (words.size() > 1)
                if (const auto limit = parse_integer(words[1]); limit && *limit > 0)
                    features_.size_limit = *limit;
        } else if (iequals(word, "DSN")) {
            features_.dsn = true;
        } else if (iequals(word, "ENHANCEDSTATUSCODES")) {
            features_.enhanced = true;
        } else if (iequals(word, "SMTPUTF8")) {
            features_.smtputf8 = true;
        } else if (iequals(word, "STARTTLS")) {
            features_.starttls = true;
        }
    }
}

void client_session::start_transaction() {
    if (features_.size_limit > 0 && transaction_.size > features_.size_limit) {
        for (auto& one : results_)
            one = {client_verdict::hard, "5.3.4",
                   "message size " + std::to_string(transaction_.size) + " exceeds size limit " +
                       std::to_string(features_.size_limit) + " of server " + options_.peer,
                   {}};
        finish_transaction();
        return;
    }
    bool sendable = fits_command(transaction_.sender);
    for (const auto& one : transaction_.recipients)
        sendable = sendable && fits_command(one.address);
    if (!sendable) {
        for (auto& one : results_)
            one = {client_verdict::hard, "5.1.3", "address with a line end cannot be sent by SMTP", {}};
        finish_transaction();
        return;
    }
    state_ = state::sending;
    send_more();
}

// Called when no reply is outstanding: decides what goes next.
void client_session::send_more() {
    const std::size_t data_at = transaction_.recipients.size() + 1;
    if (next_ > data_at) {
        envelope_done();
        return;
    }
    if (mail_failed_) {
        abort_transaction();
        return;
    }
    do {
        if (next_ == 0) {
            send_mail();
        } else if (next_ < data_at) {
            send_rcpt(next_ - 1);
        } else {
            // Alone, DATA is sent only for somebody; in a group it has to be risked (RFC 2920).
            if (awaited_.empty() && accepted_count_ == 0) {
                abort_transaction();
                return;
            }
            command(step::data, "DATA");
        }
        ++next_;
    } while (features_.pipelining && next_ <= data_at && output_.size() < pipeline_bytes);
}

void client_session::send_mail() {
    std::string text = "MAIL FROM:<" + address::quote(transaction_.sender) + ">";
    if (features_.size && transaction_.size > 0)
        text += " SIZE=" + std::to_string(transaction_.size);
    if (features_.eight_bit) {
        if (transaction_.encoding == "8bit")
            text += " BODY=8BITMIME";
        else if (transaction_.encoding == "7bit")
            text += " BODY=7BIT";
    }
    if (features_.dsn) {
        if (!transaction_.envid.empty())
            text += " ENVID=" + xtext(transaction_.envid);
        if (transaction_.ret != 0)
            text += transaction_.ret == 1 ? " RET=FULL" : " RET=HDRS";
    }
    command(step::mail, std::move(text));
}

void client_session::send_rcpt(std::size_t index) {
    const auto& to = transaction_.recipients[index];
    std::string text = "RCPT TO:<" + address::quote(to.address) + ">";
    if (features_.dsn) {
        const auto semicolon = to.dsn_original.find(';');
        if (semicolon != std::string::npos)
            text += " ORCPT=" + printable(to.dsn_original.substr(0, semicolon)) + ";" +
                    xtext(std::string_view(to.dsn_original).substr(semicolon + 1));
        else if (!to.original.empty())
            text += " ORCPT=rfc822;" + xtext(address::quote(to.original));
        if (to.notify != 0)
            text += " NOTIFY=" + notify_words(to.notify);
    }
    command(step::rcpt, std::move(text), index);
}

// MAIL, all RCPT and DATA are answered.
void client_session::envelope_done() {
    if (mail_failed_ || accepted_count_ == 0) {
        if (data_go_) {
            // The server waits for a message that nobody gets (RFC 2920 3.1): an empty one ends that.
            quitting_ = true;
            output_ += ".\r\nQUIT\r\n";
            finish_transaction();
            close();
            return;
        }
        abort_transaction();
        return;
    }
    if (!data_go_) {
        abort_transaction();
        return;
    }
    state_ = state::content;
}

void client_session::content_end(std::string& out, data_encoder& encoder) {
    assert(state_ == state::content);
    encoder.finish(out);
    awaited_.push_back({step::final});
    if (options_.lmtp)
        for (std::size_t i = 1; i < accepted_count_; ++i)
            awaited_.push_back({step::final});
    if (transaction_.last) {
        out += "QUIT\r\n";
        quitting_ = true;
    }
    state_ = state::final_reply;
}

void client_session::on_final(const reply& answer) {
    if (options_.lmtp) {
        // One reply for each accepted recipient, in order.
        for (std::size_t i = 0; i < results_.size(); ++i) {
            if (accepted_[i] && results_[i].verdict == client_verdict::pending) {
                settle(i, answer, end_of_data);
                break;
            }
        }
        if (!awaited_.empty())
            return;
    } else {
        settle_pending(answer, end_of_data, true);
    }
    finish_transaction();
    if (quitting_ || answer.code == 421)
        close();
}

// The transaction is over without a message sent; MAIL may be open at the server.
void client_session::abort_transaction() {
    const bool again = !transaction_.last;
    finish_transaction();
    if (again) {
        state_ = state::reset;
        command(step::rset, "RSET");
    } else {
        quit();
    }
}

void client_session::finish_transaction() {
    have_transaction_ = false;
    state_ = state::idle;
}

void client_session::quit() {
    if (state_ != state::closed && !quitting_)
        output_ += "QUIT\r\n";
    quitting_ = true;
    close();
}

// Output that was queued may still be written; nothing is read any more.
void client_session::close() {
    state_ = state::closed;
    have_transaction_ = false;
    awaited_.clear();
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
    // Only the end of data can be answered with success; a 2xx to DATA itself is a server out of step.
    if (answer.success() && command_name == end_of_data) {
        made.verdict = client_verdict::sent;
        made.dsn = code ? code->text() : "2.0.0";
        made.reason = made.reply;
        return made;
    }
    const bool refusal = answer.temporary() || answer.permanent();
    made.verdict = answer.temporary() ? client_verdict::soft : client_verdict::hard;
    made.dsn = !refusal ? "5.5.0" : code ? code->text() : std::to_string(answer.category()) + ".0.0";
    made.reason = (refusal ? "host " : "Protocol error: host ") + options_.peer + " said: " + made.reply +
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
    failure_.hard = !answer.temporary() && !soften;
    failure_.reply = reply_words(answer);
    const auto code = answer.enhanced();
    failure_.dsn = !refusal ? "5.5.0" : code ? code->text() : std::to_string(answer.category()) + ".0.0";
    if (soften)
        failure_.dsn.front() = '4';
    failure_.reason =
        (refusal ? "host " : "Protocol error: host ") + options_.peer + " refused to talk to me: " + failure_.reply;
    for (auto& one : results_)
        one = {failure_.hard ? client_verdict::hard : client_verdict::soft, failure_.dsn, failure_.reason,
               failure_.reply};
    if (state_ != state::closed && answer.code != 421)
        quit();
    else
        close();
}

// A line that is no reply, or a reply to nothing: the server is out of step, nothing it says counts any more.
void client_session::protocol_trouble(std::string_view line) {
    const std::string shown = printable(line.substr(0, 100));
    const std::string port = options_.port == 0 ? std::string() : ":" + std::to_string(options_.port);
    warnings_.push_back(std::string("non-") + (options_.lmtp ? "LMTP" : features_.esmtp ? "ESMTP" : "SMTP") +
                        " response from " + options_.peer + port + ": " + shown);
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
