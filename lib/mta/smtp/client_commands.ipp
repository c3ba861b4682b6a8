// The commands of a client session: how they are written, and which go out together (RFC 2920).
#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/client_session.hpp>

namespace mta::smtp {

namespace {

// Commands sent before their replies are read. More could fill both directions of the connection at once.
constexpr std::size_t pipeline_bytes = 8192;

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

bool client_session::discards(std::string_view keyword) const {
    for (const auto& word : options_.discard)
        if (iequals(word, keyword))
            return true;
    return false;
}

void client_session::command(step what, std::string text, std::size_t recipient) {
    output_ += text;
    output_ += "\r\n";
    awaited_.push_back({what, recipient});
}

void client_session::start_hello(step what) {
    state_ = state::hello;
    const std::string_view verb = options_.lmtp ? "LHLO " : what == step::ehlo ? "EHLO " : "HELO ";
    command(what, std::string(verb) + options_.helo_name);
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
    const std::size_t end = transaction_.probe ? data_at : data_at + 1;
    if (next_ >= end) {
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
    } while (features_.pipelining && next_ < end && output_.size() < pipeline_bytes);
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

} // namespace mta::smtp
