#include <cassert>

#include <mta/core/text.hpp>
#include <mta/smtp/client_session.hpp>

namespace mta::smtp {

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

bool client_session::reusable() const noexcept {
    return state_ == state::idle && in_step_ && !quitting_ && awaited_.empty() && !reader_.partial();
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
        // What comes while its command has not even been sent answers nothing, however well it fits.
        early_ = early_ || has_output();
        auto whole = reader_.feed(bytes);
        if (!whole) {
            protocol_trouble(reader_.offending());
            return;
        }
        if (!*whole)
            return;
        warn_when_cut(**whole);
        ++replies_;
        // A server may say 421 at any time (RFC 5321 3.8).
        if (std::exchange(early_, false) && (*whole)->code != 421) {
            protocol_trouble(reply_words(**whole));
            return;
        }
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
            if (transaction_.probe)
                settle(asked.recipient, answer, "RCPT TO command");
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

// MAIL, all RCPT and DATA are answered.
void client_session::envelope_done() {
    if (mail_failed_ || accepted_count_ == 0 || transaction_.probe) {
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
    // Without PIPELINING some servers take what comes early for an attack.
    if (transaction_.last && features_.pipelining) {
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
    else if (transaction_.last)
        quit();
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

} // namespace mta::smtp
