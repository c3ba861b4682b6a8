#include <algorithm>
#include <cstring>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/server_session.hpp>

namespace mta::smtp {

namespace {

constexpr std::size_t command_buffer = 4096;
constexpr std::size_t content_buffer = 32768;

// What clients sent, on one log line: line ends and control bytes as C escapes.
std::string escaped(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\r') {
            out += "\\r";
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte >= 0x7f) {
            out += '\\';
            out += static_cast<char>('0' + (byte >> 6));
            out += static_cast<char>('0' + ((byte >> 3) & 7));
            out += static_cast<char>('0' + (byte & 7));
        } else {
            out += c;
        }
    }
    return out;
}

// "Name:" as mail headers begin: a client that talks content where commands belong.
bool looks_like_header(std::string_view word) noexcept {
    const auto colon = word.find(':');
    return colon != 0 && colon != std::string_view::npos;
}

} // namespace

server_session::server_session(const server_settings& settings, server_peer peer)
    : settings_(&settings), peer_(std::move(peer)), decoder_(settings.line_limit, settings.newline_policy) {}

bare_newline server_session::newline_policy() const noexcept {
    return peer_.bare_newline_excluded ? bare_newline::accept : settings_->newline_policy;
}

void server_session::start(bool early) {
    if (early && pipelining_broken("CONNECT"))
        return;
    check(check_stage::connect, pending::connect);
}

server_session::step server_session::next() {
    for (;;) {
        if (std::exchange(pause_due_, false))
            return step::pause;
        if (std::exchange(discard_due_, false))
            return step::discard;
        if (pending_ != pending::none)
            return pending_step_;
        switch (phase_) {
        case phase::closing:
        case phase::closed:
            phase_ = phase::closed;
            return step::close;
        case phase::connect:
        case phase::command:
            if (errors_ >= settings_->hard_error_limit) {
                ending_ = "too many errors";
                hang_up("421 4.7.0 " + settings_->hostname + " Error: too many errors");
                break;
            }
            if (!take_command()) {
                if (!stopping_ || transaction_.active)
                    return step::read;
                hang_up("421 4.3.2 " + settings_->hostname + " Error: server is shutting down");
                break;
            }
            run_command();
            break;
        case phase::data:
        case phase::chunk:
        case phase::skip_chunk: {
            const step what = phase_ == phase::data ? next_content() : next_chunk();
            if (what != step::close) // nothing for the pump yet
                return what;
            break;
        }
        }
    }
}

std::span<char> server_session::read_buffer() {
    const std::size_t size =
        phase_ == phase::data || phase_ == phase::chunk ? content_buffer : command_buffer;
    input_ = {};
    if (buffer_.size() != size)
        std::vector<char>(size).swap(buffer_);
    return buffer_;
}

void server_session::received(std::size_t size) {
    input_ = {buffer_.data(), size};
}

void server_session::feed(std::string_view bytes) {
    std::vector<char> all(input_.begin(), input_.end());
    all.insert(all.end(), bytes.begin(), bytes.end());
    buffer_.swap(all);
    input_ = {buffer_.data(), buffer_.size()};
}

// Moves input up to a line end into command_; what is over the limit is dropped.
bool server_session::take_command() {
    if (std::exchange(line_ready_, false)) {
        command_.clear();
        too_long_ = bare_line_ = false;
    }
    if (input_.empty())
        return false;
    const auto* lf = static_cast<const char*>(std::memchr(input_.data(), '\n', input_.size()));
    const auto piece =
        input_.substr(0, lf != nullptr ? static_cast<std::size_t>(lf - input_.data()) : input_.size());
    const std::size_t room = settings_->line_limit - command_.size();
    command_.append(piece.substr(0, room));
    too_long_ |= piece.size() > room && (piece.size() > room + 1 || piece.back() != '\r');
    // Remembers, over reads, whether the byte before the line end is a CR.
    if (!piece.empty())
        bare_line_ = piece.back() != '\r';
    else if (command_.empty())
        bare_line_ = true;
    input_.remove_prefix(piece.size() + (lf != nullptr ? 1 : 0));
    line_ready_ = lf != nullptr;
    return line_ready_;
}

void server_session::run_command() {
    if (stopping_) {
        hang_up("421 4.3.2 " + settings_->hostname + " Error: server is shutting down");
        return;
    }
    if (bare_line_ && newline_policy() == bare_newline::reject) {
        info((queue_id_.empty() ? "NOQUEUE" : queue_id_) + ": reject: " + where_ + " from " + peer_.text() +
             ": bare <LF> received;" + log_context(true));
        hang_up(std::to_string(settings_->bare_newline_code) + " 5.5.2 " + settings_->hostname +
                " Error: bare <LF> received");
        return;
    }
    if (too_long_)
        warn(peer_.text() + ": request longer than " + std::to_string(settings_->line_limit) + ": " +
             command_.substr(0, 30) + "...");
    // A NUL ends the line here as it does for every program that reads lines of text.
    command_.resize(std::min(command_.find('\0'), command_.size()));
    while (!command_.empty() && white_space.find(command_.back()) != std::string_view::npos)
        command_.pop_back();
    if (settings_->utf8_commands && !is_utf8(command_)) {
        reply("500 5.5.2 Error: bad UTF-8 syntax");
        ++errors_;
        return;
    }
    const words args = split_command(command_);
    if (args.empty()) {
        reply("500 5.5.2 Error: bad syntax");
        ++errors_;
        return;
    }
    static constexpr std::string_view names[] = {"HELO", "EHLO", "STARTTLS", "AUTH",    "MAIL",
                                                 "RCPT", "DATA", "BDAT",     "RSET",    "NOOP",
                                                 "VRFY", "ETRN", "QUIT",     "XCLIENT", "XFORWARD"};
    unsigned index = 0;
    while (index < c_unknown && !iequals(args[0], names[index]))
        ++index;
    const auto listed = [&](const std::vector<std::string>& list) {
        return std::any_of(list.begin(), list.end(),
                           [&](const auto& name) { return iequals(name, args[0]); });
    };
    if (listed(settings_->noop_commands))
        index = c_noop;
    command_index_ = index;
    ++counts_[index][1];
    where_ = index < c_unknown ? names[index] : "UNKNOWN";
    after_message_ = in_data_ = false;
    if (index == c_unknown) {
        const char first = to_lower(args[0].front());
        if (listed(settings_->forbidden_commands) || looks_like_header(args[0]) ||
            (settings_->forbid_non_letters && (first < 'a' || first > 'z'))) {
            warn("non-SMTP command from " + peer_.text() + ": " +
                 escaped(std::string_view(command_).substr(0, 100)));
            hang_up("221 2.7.0 Error: I can break rules, too. Goodbye.");
            return;
        }
        refuse("500 5.5.2 Error: command not recognized");
        return;
    }
    const bool ends_group = index == c_helo || index == c_ehlo || index == c_starttls || index == c_auth ||
                            index == c_data || index == c_noop || index == c_vrfy;
    if ((ends_group || !esmtp_) && index != c_bdat && !input_.empty() && pipelining_broken(where_))
        return;
    if (!denied_.empty() && index != c_quit) {
        refuse("503 5.7.0 Error: access denied for " + peer_.text());
        return;
    }
    dispatch(index, args);
}

// Logs once a session that the client talks ahead of its turn; true when that ends the session.
bool server_session::pipelining_broken(std::string_view after) {
    if (!std::exchange(pipelining_told_, true))
        info("improper command pipelining after " + std::string(after) + " from " + peer_.text() + ": " +
             escaped(input_.substr(0, 100)));
    if (!settings_->forbid_unauth_pipelining)
        return false;
    hang_up("554 5.5.0 Error: SMTP protocol synchronization");
    return true;
}

void server_session::answer(verdict v) {
    const pending what = std::exchange(pending_, pending::none);
    if (what == pending::commit) {
        const bool ok = v.reply.starts_with('2');
        static constexpr std::string_view queued = "250 2.0.0 Ok: queued as ";
        if (chunked_ && v.reply.starts_with(queued))
            v.reply.insert(queued.size() - std::string_view("queued as ").size(),
                           std::to_string(content_size_) + " bytes ");
        reply(v.reply);
        after_message(ok);
        if (v.reply.starts_with("421") || v.reply.starts_with("521"))
            phase_ = phase::closing;
        return;
    }
    if (!v.ok()) {
        if (what == pending::mail)
            transaction_ = {};
        else if (what == pending::connect)
            denied_ = v.reply;
        else if (what == pending::end_of_data) {
            content_reply_ = v.reply;
            (void)end_content();
            return;
        }
        phase_ = phase::command;
        reply(v.reply);
        if (what != pending::connect)
            finish(false);
        if (v.reply.starts_with("421") || v.reply.starts_with("521"))
            hang_up({});
        else if (what == pending::chunk) {
            chunked_ = chunk_failed_ = true;
            phase_ = phase::skip_chunk;
            content_reply_.clear();
        }
        return;
    }
    switch (what) {
    case pending::connect:
        reply("220 " + settings_->banner);
        phase_ = phase::command;
        break;
    case pending::helo:
        reset_transaction();
        helo_ = std::move(new_helo_);
        esmtp_ = new_esmtp_;
        esmtp_ ? void(output_ += ehlo_reply()) : reply("250 " + settings_->hostname);
        pause_due_ = errors_ >= settings_->soft_error_limit;
        finish(true);
        break;
    case pending::mail:
        transaction_.active = true;
        reply("250 2.1.0 Ok");
        finish(true);
        break;
    case pending::recipient:
        check(check_stage::recipient, pending::add_recipient, step::recipient);
        break;
    case pending::add_recipient:
        ++transaction_.recipients;
        transaction_.last_recipient = recipient_.address;
        reply("250 2.1.5 Ok");
        finish(true);
        break;
    case pending::data:
        reply("354 End data with <CR><LF>.<CR><LF>");
        decoder_ = data_decoder(settings_->line_limit, newline_policy());
        content_size_ = 0;
        content_reply_.clear();
        in_data_ = true;
        phase_ = phase::data;
        break;
    case pending::chunk:
        if (!std::exchange(chunked_, true)) {
            decoder_ = data_decoder(settings_->line_limit, newline_policy());
            content_size_ = 0;
            content_reply_.clear();
        }
        phase_ = phase::chunk;
        break;
    case pending::end_of_data:
        check(check_stage::end_of_data, pending::commit, step::commit);
        break;
    case pending::vrfy:
        reply("252 2.0.0 " + recipient_.given);
        finish(true);
        break;
    case pending::etrn:
        check(check_stage::etrn, pending::flush, step::flush);
        break;
    case pending::flush:
        reply("250 Queuing started");
        finish(true);
        break;
    case pending::commit:
    case pending::none:
        break;
    }
}

void server_session::connection_lost() {
    ending_ = "lost connection";
    hang_up({});
}

void server_session::timed_out() {
    ending_ = "timeout";
    hang_up("421 4.4.2 " + settings_->hostname + " Error: timeout exceeded");
}

void server_session::refuse_content(std::string reply_text) {
    if (content_reply_.empty())
        content_reply_ = std::move(reply_text);
}

void server_session::check(check_stage stage, pending what, step kind) {
    stage_ = stage;
    pending_ = what;
    pending_step_ = kind;
}

void server_session::finish(bool ok) {
    if (ok)
        ++counts_[command_index_][0];
    else
        ++errors_;
}

void server_session::reply(std::string_view text) {
    // A client that errs too often waits for every reply.
    pause_due_ |= errors_ >= settings_->soft_error_limit;
    for (const char c : text) {
        const bool masked = static_cast<unsigned char>(c) < 0x20 || c == 0x7f || ((c & 0x80) != 0 && !settings_->utf8_commands);
        output_ += masked ? ' ' : c;
    }
    output_ += "\r\n";
}

void server_session::refuse(std::string_view text) {
    reply(text);
    finish(false);
}

// Ends the session; with an empty text without a word.
void server_session::hang_up(std::string_view text) {
    if (!text.empty())
        reply(text);
    pending_ = pending::none;
    phase_ = phase::closing;
    discard_due_ |= transaction_.active;
    transaction_.active = false;
}

void server_session::reset_transaction() {
    discard_due_ |= transaction_.active;
    transaction_ = {};
    chunked_ = chunk_failed_ = false;
    overshoot_ = 0;
    queue_id_.clear();
}

void server_session::info(std::string text) {
    log_.push_back({severity::info, std::move(text)});
}
void server_session::warn(std::string text) {
    log_.push_back({severity::warning, std::move(text)});
}

std::string server_session::log_context(bool with_recipient) const {
    std::string out;
    std::string storage;
    if (transaction_.active || pending_ == pending::mail)
        out.append(" from=<")
            .append(printable(address::quoted_view(transaction_.sender, storage)))
            .append(">");
    const std::string* to = nullptr;
    if (with_recipient &&
        (pending_ == pending::recipient || pending_ == pending::add_recipient || pending_ == pending::vrfy))
        to = &recipient_.address;
    else if (with_recipient && transaction_.recipients == 1)
        to = &transaction_.last_recipient;
    if (to != nullptr)
        out.append(" to=<").append(printable(address::quoted_view(*to, storage))).append(">");
    out.append(" proto=").append(protocol());
    if (!helo().empty())
        out.append(" helo=<").append(printable(helo())).append(">");
    return out;
}

std::string server_session::ending() const {
    if (ending_.empty() || (after_message_ && ending_ == "lost connection"))
        return {};
    std::string out = ending_ + " after " + where_;
    if (in_data_)
        out += " (" + std::to_string(content_size_) + " bytes)";
    return out + " from " + peer_.text();
}

std::string server_session::counters() const {
    static constexpr std::string_view names[] = {"helo", "ehlo",    "starttls", "auth",   "mail", "rcpt",
                                                 "data", "bdat",    "rset",     "noop",   "vrfy", "etrn",
                                                 "quit", "xclient", "xforward", "unknown"};
    std::string out;
    unsigned good = 0;
    unsigned all = 0;
    const auto add = [&](std::string_view name, unsigned ok, unsigned total) {
        out.append(out.empty() ? "" : " ").append(name).append("=").append(std::to_string(ok));
        if (ok != total || (total == 0))
            out.append("/").append(std::to_string(total));
    };
    for (unsigned i = 0; i < c_count; ++i) {
        const auto [ok, total] = counts_[i];
        if (total == 0)
            continue;
        good += ok;
        all += total;
        add(names[i], ok, total);
    }
    add("commands", good, all);
    return out;
}

} // namespace mta::smtp
