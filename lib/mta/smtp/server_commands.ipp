#include <charconv>

#include <mta/address/domain_name.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/server_session.hpp>

// The commands of server_session, and the content of messages.
namespace mta::smtp {

void server_session::dispatch(unsigned index, const words& args) {
    // Commands that move no mail count against a limit of their own.
    const bool junk = index == c_helo || index == c_ehlo || index == c_rset || index == c_noop ||
                      index == c_vrfy || index == c_etrn;
    if (junk && junk_++ > settings_->junk_limit)
        ++errors_;
    switch (index) {
    case c_helo:
        return do_helo(args, false);
    case c_ehlo:
        return do_helo(args, true);
    case c_starttls:
        return refuse("502 5.5.1 Error: command not implemented");
    case c_auth:
        return refuse("503 5.5.1 Error: authentication not enabled");
    case c_mail:
        return do_mail(args);
    case c_rcpt:
        return do_rcpt(args);
    case c_data:
        return do_data(args);
    case c_bdat:
        return do_bdat(args);
    case c_rset:
        if (args.size() != 1)
            return refuse("501 5.5.4 Syntax: RSET");
        reset_transaction();
        reply("250 2.0.0 Ok");
        return finish(true);
    case c_noop:
        reply("250 2.0.0 Ok");
        return finish(true);
    case c_vrfy:
        return do_vrfy(args);
    case c_etrn:
        return do_etrn(args);
    case c_quit:
        finish(true);
        return hang_up("221 2.0.0 Bye");
    default:
        return refuse("550 5.7.0 Error: insufficient authorization");
    }
}

void server_session::do_helo(const words& args, bool esmtp) {
    if (args.size() < 2)
        return refuse(esmtp ? "501 Syntax: EHLO hostname" : "501 Syntax: HELO hostname");
    const auto from = static_cast<std::size_t>(args[1].data() - command_.data());
    new_helo_ = printable(std::string_view(command_).substr(from));
    new_esmtp_ = esmtp;
    check(check_stage::helo, pending::helo);
}

std::string server_session::ehlo_reply() {
    const unsigned hidden = discarded();
    std::vector<std::string> lines{settings_->hostname};
    const auto offer = [&](unsigned keyword, std::string text) {
        if ((hidden & keyword) == 0)
            lines.push_back(std::move(text));
    };
    offer(ehlo_pipelining, "PIPELINING");
    offer(ehlo_size, settings_->message_size_limit > 0
                         ? "SIZE " + std::to_string(settings_->message_size_limit)
                         : "SIZE");
    if (!settings_->disable_vrfy)
        offer(ehlo_vrfy, "VRFY");
    offer(ehlo_etrn, "ETRN");
    offer(ehlo_enhanced, "ENHANCEDSTATUSCODES");
    offer(ehlo_8bitmime, "8BITMIME");
    offer(ehlo_dsn, "DSN");
    offer(ehlo_chunking, "CHUNKING");
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i)
        out.append("250").append(i + 1 < lines.size() ? "-" : " ").append(lines[i]).append("\r\n");
    return out;
}

void server_session::bad_address(std::string_view command, std::string_view text) {
    // A bracket that is not closed is a broken word rather than an address.
    if (text.empty() || text.front() != '<' || text.find('>') != std::string_view::npos)
        warn("Illegal address syntax from " + peer_.text() + " in " + std::string(command) +
             " command: " + std::string(text.substr(0, 200)));
    refuse(command == "MAIL" ? "501 5.1.7 Bad sender address syntax"
                             : "501 5.1.3 Bad recipient address syntax");
}

void server_session::do_mail(const words& args) {
    if (settings_->helo_required && helo_.empty())
        return refuse("503 5.5.1 Error: send HELO/EHLO first");
    if (transaction_.active)
        return refuse("503 5.5.1 Error: nested MAIL command");
    if (args.size() < 3 || !iequals(args[1], "FROM:"))
        return refuse("501 5.5.4 Syntax: MAIL FROM:<address>");
    auto sender =
        parse_path(args[2], settings_->strict_envelopes ? path_policy::strict : path_policy::lenient);
    if (!sender || (!settings_->allow_minus_user && sender->starts_with('-')))
        return bad_address("MAIL", args[2]);
    transaction_ = {};
    for (std::size_t i = 3; i < args.size(); ++i)
        if (!mail_option(args[i]))
            return;
    transaction_.sender = std::move(*sender);
    check(check_stage::mail, pending::mail);
    if (settings_->message_size_limit > 0 && transaction_.size > settings_->message_size_limit) {
        static constexpr std::string_view too_big = "552 5.3.4 Message size exceeds fixed limit";
        info("NOQUEUE: reject: MAIL from " + peer_.text() + ": " + std::string(too_big) + ";" +
             log_context(false));
        pending_ = pending::none;
        transaction_ = {};
        refuse(too_big);
    }
}

// False when the option was refused, with the reply made.
bool server_session::mail_option(std::string_view option) {
    const auto equals = option.find('=');
    const auto name = option.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    const bool has_value = equals != std::string_view::npos;
    const unsigned hidden = discarded();
    const auto bad = [&](std::string_view text) {
        refuse(text);
        return false;
    };
    if (has_value && iequals(name, "SIZE") && (hidden & ehlo_size) == 0) {
        long long size = 0;
        const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), size);
        if (value.empty() || value.front() == '-' || end != value.data() + value.size())
            return bad("501 5.5.4 Bad message size syntax");
        if (code == std::errc::result_out_of_range)
            return bad("552 5.3.4 Message size exceeds file system imposed limit");
        transaction_.size = size;
        return true;
    }
    if (has_value && iequals(name, "BODY") && (hidden & ehlo_8bitmime) == 0) {
        if (iequals(value, "8BITMIME"))
            transaction_.body = "8bit";
        else if (iequals(value, "7BIT"))
            transaction_.body = "7bit";
        else
            return bad("555 5.5.4 Unsupported option: " + std::string(option));
        return true;
    }
    if (has_value && (iequals(name, "RET") || iequals(name, "ENVID"))) {
        if ((hidden & ehlo_dsn) != 0)
            return bad("501 5.7.1 DSN support is disabled");
        if (iequals(name, "RET")) {
            const auto ret = parse_ret(value);
            if (!ret || transaction_.dsn_ret != 0)
                return bad("501 5.5.4 Bad RET parameter syntax");
            transaction_.dsn_ret = *ret;
            return true;
        }
        auto id = decode_xtext(value);
        if (!id || id->empty() || !transaction_.dsn_envid.empty())
            return bad("501 5.5.4 Bad ENVID parameter syntax");
        transaction_.dsn_envid = std::move(*id);
        return true;
    }
    // AUTH= is understood and, without authentication, of no consequence (RFC 4954 5).
    if (has_value && iequals(name, "AUTH") && (value == "<>" || decode_xtext(value)))
        return true;
    return bad("555 5.5.4 Unsupported option: " + std::string(option));
}

void server_session::do_rcpt(const words& args) {
    if (!transaction_.active)
        return refuse("503 5.5.1 Error: need MAIL command");
    if (chunked_)
        return refuse("503 5.5.1 Error: RCPT after BDAT");
    if (args.size() < 3 || !iequals(args[1], "TO:"))
        return refuse("501 5.5.4 Syntax: RCPT TO:<address>");
    auto to = parse_path(args[2], settings_->strict_envelopes ? path_policy::strict : path_policy::lenient);
    if (!to || to->empty() || (!settings_->allow_minus_user && to->starts_with('-')))
        return bad_address("RCPT", args[2]);
    recipient_ = {};
    for (std::size_t i = 3; i < args.size(); ++i)
        if (!rcpt_option(args[i]))
            return;
    if (settings_->recipient_limit > 0 && transaction_.recipients >= settings_->recipient_limit) {
        reply("452 4.5.3 Error: too many recipients");
        return finish(overshoot_++ < settings_->recipient_overshoot);
    }
    recipient_.address = std::move(*to);
    recipient_.given = std::string(args[2]);
    check(check_stage::recipient, pending::recipient);
}

bool server_session::rcpt_option(std::string_view option) {
    const auto equals = option.find('=');
    const auto name = option.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    const bool has_value = equals != std::string_view::npos;
    const auto bad = [&](std::string_view text) {
        refuse(text);
        return false;
    };
    if (!has_value || (!iequals(name, "NOTIFY") && !iequals(name, "ORCPT")))
        return bad("555 5.5.4 Unsupported option: " + std::string(option));
    if ((discarded() & ehlo_dsn) != 0)
        return bad("501 5.7.1 DSN support is disabled");
    if (iequals(name, "NOTIFY")) {
        const auto flags = parse_notify(value);
        if (!flags || recipient_.notify != 0)
            return bad("501 5.5.4 Error: Bad NOTIFY parameter syntax");
        recipient_.notify = *flags;
        return true;
    }
    const auto semicolon = value.find(';');
    auto address =
        semicolon == std::string_view::npos ? std::nullopt : decode_xtext(value.substr(semicolon + 1));
    const auto type = value.substr(0, semicolon);
    if (!address || type.empty() || !recipient_.dsn_orig_rcpt.empty() ||
        type.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") !=
            std::string_view::npos)
        return bad("501 5.5.4 Error: Bad ORCPT parameter syntax");
    recipient_.dsn_orig_rcpt.assign(type).append(";").append(*address);
    return true;
}

void server_session::do_data(const words& args) {
    if (chunked_)
        return refuse("503 5.5.1 Error: DATA after BDAT");
    if (transaction_.recipients == 0)
        return refuse(transaction_.active ? "554 5.5.1 Error: no valid recipients"
                                          : "503 5.5.1 Error: need RCPT command");
    if (args.size() != 1)
        return refuse("501 5.5.4 Syntax: DATA");
    check(check_stage::data, pending::data);
}

void server_session::do_bdat(const words& args) {
    const std::string id = queue_id_.empty() ? "NOQUEUE" : queue_id_;
    if ((discarded() & ehlo_chunking) != 0) {
        finish(false);
        return hang_up("521 5.5.1 Error: command not implemented");
    }
    long long size = -1;
    if (args.size() > 1 && args[1].front() != '-') {
        const auto [end, code] = std::from_chars(args[1].data(), args[1].data() + args[1].size(), size);
        if (code != std::errc{} || end != args[1].data() + args[1].size())
            size = -1;
    }
    if (size < 0 || args.size() > 3 || (args.size() == 3 && !iequals(args[2], "LAST"))) {
        // Where the next command starts is unknown now.
        warn(id + ": malformed BDAT command syntax from " + peer_.text() + ": " +
             printable(command_).substr(0, 100));
        finish(false);
        return hang_up("521 5.5.4 Syntax: BDAT count [LAST]");
    }
    chunk_left_ = chunk_size_ = static_cast<std::size_t>(size);
    chunk_last_ = args.size() == 3;
    ask_.clear();
    if (!transaction_.active) {
        ask_ = "503 5.5.1 Error: need RCPT command";
    } else if (chunk_failed_) {
        ask_ = "551 5.0.0 Discarded " + std::to_string(size) + " bytes after earlier error";
    } else if (size == 0 && !chunk_last_) {
        // Endless empty chunks would cost nothing to send.
        warn(id + ": null BDAT request from " + peer_.text());
        ask_ = "551 5.7.1 Null BDAT request";
    } else if (transaction_.recipients == 0) {
        ask_ = "554 5.5.1 Error: no valid recipients";
    } else if (settings_->message_size_limit > 0 &&
               (chunked_ ? content_size_ : 0) > settings_->message_size_limit - size) {
        warn(id + ": BDAT request from " + peer_.text() + " exceeds message size limit");
        ask_ = "552 5.3.4 Chunk exceeds message size limit";
    } else if (chunked_) {
        phase_ = phase::chunk;
        return;
    } else {
        return check(check_stage::data, pending::chunk);
    }
    if (transaction_.active)
        chunked_ = chunk_failed_ = true;
    phase_ = phase::skip_chunk;
}

void server_session::do_vrfy(const words& args) {
    if (settings_->disable_vrfy)
        return refuse("502 5.5.1 VRFY command is disabled");
    if (args.size() < 2)
        return refuse("501 5.5.4 Syntax: VRFY address");
    const auto rest =
        std::string_view(command_).substr(static_cast<std::size_t>(args[1].data() - command_.data()));
    auto to = args.size() == 2 ? parse_path(args[1], path_policy::lenient) : fail(errc::malformed);
    if (!to || to->empty())
        return bad_address("VRFY", rest);
    recipient_ = {};
    recipient_.address = std::move(*to);
    recipient_.given = std::string(args[1]);
    check(check_stage::vrfy, pending::vrfy);
}

void server_session::do_etrn(const words& args) {
    if (transaction_.active)
        return refuse("503 Error: MAIL transaction in progress");
    if (settings_->helo_required && helo_.empty())
        return refuse("503 Error: send HELO/EHLO first");
    if (args.size() != 2)
        return refuse("500 Syntax: ETRN domain");
    auto domain = args[1];
    if (domain.front() == '@' || domain.front() == '#')
        domain.remove_prefix(1);
    if (!address::valid_site(domain))
        return refuse("501 Error: invalid parameter syntax");
    recipient_ = {};
    etrn_domain_ = domain;
    check(check_stage::etrn, pending::etrn);
}

// Of content: step::close means that the caller goes on by itself.
server_session::step server_session::next_content() {
    for (;;) {
        switch (decoder_.feed(input_)) {
        case data_decoder::kind::more:
            return step::read;
        case data_decoder::kind::line:
            if (count_line())
                return step::line;
            break;
        case data_decoder::kind::end:
            return end_content();
        }
    }
}

server_session::step server_session::next_chunk() {
    if (phase_ == phase::skip_chunk) {
        const std::size_t skipped = std::min(chunk_left_, input_.size());
        input_.remove_prefix(skipped);
        chunk_left_ -= skipped;
        if (chunk_left_ > 0)
            return step::read;
        phase_ = phase::command;
        if (!ask_.empty())
            refuse(ask_);
        if (chunk_last_)
            reset_transaction();
        return step::close;
    }
    for (;;) {
        std::string_view chunk = input_.substr(0, chunk_left_);
        const std::size_t before = chunk.size();
        const auto kind = decoder_.feed_chunk(chunk);
        input_.remove_prefix(before - chunk.size());
        chunk_left_ -= before - chunk.size();
        if (kind == data_decoder::kind::line) {
            if (count_line())
                return step::line;
            continue;
        }
        if (chunk_left_ > 0)
            return step::read;
        if (chunk_last_) {
            if (decoder_.finish_chunks() && count_line())
                return step::line;
            return end_content();
        }
        phase_ = phase::command;
        if (content_reply_.empty()) {
            reply("250 2.0.0 Ok: " + std::to_string(content_size_) + " bytes");
            finish(true);
        } else {
            chunk_failed_ = true;
            refuse(std::exchange(content_reply_, {}));
        }
        return step::close;
    }
}

// Whether the decoder's line belongs to a message that is still wanted.
bool server_session::count_line() {
    content_size_ += static_cast<long long>(decoder_.text().size()) + (decoder_.unterminated() ? 0 : 2);
    if (!content_reply_.empty())
        return false;
    if (settings_->message_size_limit > 0 && content_size_ > settings_->message_size_limit) {
        warn(queue_id_ + ": queue file size limit exceeded");
        content_reply_ = "552 5.3.4 Error: message file too big";
        return false;
    }
    if (decoder_.saw_bare_newline() && newline_policy() == bare_newline::reject) {
        info(queue_id_ + ": reject: END-OF-MESSAGE from " + peer_.text() + ": bare <LF> received;" +
             log_context(true));
        content_reply_ = std::to_string(settings_->bare_newline_code) + " 5.5.2 " + settings_->hostname +
                         " Error: bare <LF> received";
        return false;
    }
    return true;
}

server_session::step server_session::end_content() {
    phase_ = phase::command;
    in_data_ = false;
    after_message_ = true;
    where_ = "END-OF-MESSAGE";
    if (decoder_.saw_bare_newline() && newline_policy() == bare_newline::note && content_reply_.empty())
        info(queue_id_ + ": note: END-OF-MESSAGE from " + peer_.text() + ": bare <LF> received;" +
             log_context(true));
    if (content_reply_.empty()) {
        check(check_stage::end_of_data, pending::end_of_data);
        return step::close;
    }
    const std::string text = std::exchange(content_reply_, {});
    reply(text);
    after_message(false);
    discard_due_ = true;
    if (text.starts_with("421") || text.starts_with("521"))
        hang_up({});
    return step::close;
}

void server_session::after_message(bool ok) {
    finish(ok);
    if (ok)
        junk_ = 0;
    reset_transaction();
    discard_due_ = false; // the pump has ended the message itself
}

} // namespace mta::smtp
