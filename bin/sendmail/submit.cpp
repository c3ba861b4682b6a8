#include "submit.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>
#include <mta/core/child.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/message/header.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/table/user_rights.hpp>

#include "input.hpp"
#include "postdrop_client.hpp"

namespace mta::sendmail {

namespace {

using queue::record_type;

constexpr std::string_view reason_of(unsigned status) noexcept {
    struct row {
        unsigned bit;
        std::string_view text;
    };
    // In the order of what a user should hear first.
    constexpr row rows[] = {
        {512, "operation not permitted"},      {1, "internal protocol error"},   {64, "no recipients specified"},
        {4, "message file too big"},           {16, "too many hops"},            {8, "message content rejected"},
        {128, "message rejected by the proxy"}, {2, "queue file write error"},   {256, "temporary failure"},
    };
    for (const auto& [bit, text] : rows)
        if ((status & bit) != 0)
            return text;
    return "queue file write error";
}

// The full name in an account's comment field: up to the first comma, "&" standing for the login name.
std::string name_of(const user& account) {
    std::string out;
    for (const char c : account.gecos.substr(0, account.gecos.find(','))) {
        if (c != '&') {
            out += c;
            continue;
        }
        const auto at = out.size();
        out += account.name;
        if (at < out.size() && out[at] >= 'a' && out[at] <= 'z')
            out[at] = static_cast<char>(out[at] - 'a' + 'A');
    }
    return out;
}

class submission {
public:
    submission(const options& asked, const configuration& cfg, config::command_log& log)
        : asked_(asked), cfg_(cfg), log_(log) {}

    int run();

private:
    [[noreturn]] void refuse(const std::string& text) {
        if (drop_)
            drop_->cancel();
        log_.fatal(sender_ + '(' + std::to_string(::getuid()) + "): " + text);
    }
    void find_user_and_sender();
    void collect_recipients();
    void check_verp();
    void write_envelope();
    void write_recipient(std::string_view address);
    void write_probe();
    void copy_message();
    void copy_line(std::string_view line, bool unterminated);
    void take_header();
    void scan_header(const message::header_info& info, std::string_view value);
    void put_lines(std::string_view text);
    void write_extracted();

    const options& asked_;
    const configuration& cfg_;
    config::command_log& log_;
    user account_;
    std::string sender_;
    std::string full_name_;
    std::string verp_;
    std::vector<std::string> recipients_;
    std::optional<postdrop_client> drop_;

    bool in_header_ = false; // -t, and the header goes on
    bool piece_open_ = false;
    std::string header_;
    std::vector<std::string> extracted_;
    std::vector<std::string> resent_;
    bool saw_resent_ = false;
    bool header_cut_ = false; // over header_size_limit
};

void submission::find_user_and_sender() {
    const auto uid = ::getuid();
    auto found = find_user(uid);
    if (!found)
        log_.fatal(found.error());
    if (!*found)
        log_.fatal("no login name found for user ID " + std::to_string(uid));
    account_ = std::move(**found);
    const char* name = std::getenv("NAME");
    full_name_ = asked_.full_name ? *asked_.full_name : name != nullptr ? std::string(name) : name_of(account_);
    std::replace_if(full_name_.begin(), full_name_.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    if (!asked_.sender) {
        sender_ = account_.name;
        return;
    }
    const auto addresses = address::addresses_in(*asked_.sender);
    if (addresses.size() > 1 || (addresses.empty() && !trim(*asked_.sender).empty()))
        log_.warning("-f option specified malformed sender: " + *asked_.sender);
    if (!addresses.empty())
        sender_ = addresses.front();
}

void submission::collect_recipients() {
    for (const auto& word : asked_.recipients) {
        auto addresses = address::addresses_in(word);
        if (addresses.empty())
            addresses.emplace_back();
        std::move(addresses.begin(), addresses.end(), std::back_inserter(recipients_));
    }
    if (recipients_.empty() && !asked_.extract_recipients)
        refuse("Recipient addresses must be specified on the command line or via the -t option");
}

void submission::check_verp() {
    if (!asked_.verp_asked)
        return;
    verp_ = asked_.verp_default ? cfg_[param::default_verp_delimiters] : asked_.verp;
    const auto& filter = cfg_[param::verp_delimiter_filter];
    if (verp_.size() != 2 || verp_.find_first_not_of(filter) != std::string::npos)
        log_.fatal("-V requires two characters from " + filter);
    if (sender_.empty())
        refuse("-V option requires non-null sender address");
}

void submission::write_recipient(std::string_view address) {
    if (asked_.dsn_notify != 0)
        drop_->put_attribute("notify_flags", std::to_string(asked_.dsn_notify));
    drop_->put(record_type::recipient, address);
}

void submission::write_envelope() {
    if (!asked_.envelope_id.empty())
        drop_->put_attribute("envelope_id", asked_.envelope_id);
    if (asked_.dsn_ret != 0)
        drop_->put_attribute("ret_flags", std::to_string(asked_.dsn_ret));
    drop_->put_attribute("rewrite_context", asked_.remote_context ? "remote" : "local");
    drop_->put(record_type::full_name, full_name_);
    drop_->put(record_type::sender, sender_);
    if (!asked_.encoding.empty())
        drop_->put_attribute("encoding", asked_.encoding);
    if (asked_.mode == mode::probe)
        drop_->put_attribute("trace_flags", std::to_string(queue::trace_user_probe));
    else if (asked_.verbose == 1)
        drop_->put_attribute("trace_flags", std::to_string(queue::trace_record));
    if (!verp_.empty())
        drop_->put(record_type::verp, verp_);
    for (const auto& recipient : recipients_)
        write_recipient(recipient);
    drop_->put(record_type::message, {});
}

void submission::write_probe() {
    drop_->put(record_type::text, "From: " + address::quote(sender_));
    drop_->put(record_type::text, "Subject: probe");
    drop_->put(record_type::unterminated, "To:");
    for (std::size_t i = 0; i < asked_.recipients.size(); ++i)
        drop_->put(record_type::text, '\t' + asked_.recipients[i] + (i + 1 < asked_.recipients.size() ? "," : ""));
}

void submission::put_lines(std::string_view text) {
    const auto limit = static_cast<std::size_t>(cfg_[param::line_length_limit]);
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        auto line = text.substr(at, end - at);
        for (; line.size() > limit; line.remove_prefix(limit))
            drop_->put(record_type::unterminated, line.substr(0, limit));
        drop_->put(record_type::text, line);
        at = end + 1;
    }
}

void submission::scan_header(const message::header_info& info, std::string_view value) {
    if (!info.extract)
        return;
    saw_resent_ = saw_resent_ || info.resent;
    auto& into = info.resent ? resent_ : extracted_;
    // Without header_address_token_limit, which is for rewriting: it would lose recipients without a word.
    const auto text = value.substr(0, value.find('\0'));
    for (auto& one : address::addresses_in(text, std::numeric_limits<std::size_t>::max()))
        if (!one.empty())
            into.push_back(std::move(one));
}

void submission::take_header() {
    if (header_.empty())
        return;
    const auto split = message::split_header(header_);
    if (const auto* info = message::find_header(split->name))
        scan_header(*info, split->value);
    header_.erase(split->name.size(), header_.find(':') - split->name.size());
    put_lines(header_);
    header_.clear();
}

void submission::copy_line(std::string_view line, bool unterminated) {
    const bool first_piece = !piece_open_;
    piece_open_ = unterminated;
    if (!in_header_) {
        drop_->put(unterminated ? record_type::unterminated : record_type::text, line);
        return;
    }
    const auto limit = static_cast<std::size_t>(cfg_[param::header_size_limit]);
    const bool goes_on = !first_piece || (message::is_continuation(line) && !header_.empty());
    if (goes_on) {
        if (header_.size() >= limit) { // recipients may be in what is cut off
            header_cut_ = true;
            return;
        }
        if (first_piece)
            header_ += '\n';
        header_ += line;
        return;
    }
    take_header();
    if (message::header_name_length(line) > 0) {
        header_ = line;
        return;
    }
    in_header_ = false;
    if (!line.empty())
        drop_->put(record_type::text, {});
    drop_->put(unterminated ? record_type::unterminated : record_type::text, line);
}

void submission::copy_message() {
    const auto& fix = cfg_[param::sendmail_fix_line_endings];
    message_input input(STDIN_FILENO, static_cast<std::size_t>(cfg_[param::line_length_limit]),
                        fix == "never"    ? line_endings::never
                        : fix == "strict" ? line_endings::strict
                                          : line_endings::always);
    in_header_ = asked_.extract_recipients;
    bool leading = true;
    for (;;) {
        std::string_view line;
        bool unterminated = false;
        const auto more = input.next(line, unterminated);
        if (!more)
            refuse(more.error().text());
        if (!*more)
            break;
        // Separators of an mbox that the message was cut from.
        if (leading && line.substr(std::min(line.find_first_not_of('>'), line.size())).starts_with("From "))
            continue;
        leading = false;
        if (line == "." && !asked_.ignore_dots && !piece_open_)
            break;
        copy_line(line, unterminated);
    }
    take_header();
}

void submission::write_extracted() {
    drop_->put(record_type::extracted, {});
    if (!asked_.extract_recipients)
        return;
    if (header_cut_)
        refuse("unable to extract recipients: message header length exceeds safety limit");
    const auto& found = saw_resent_ ? resent_ : extracted_;
    if (found.empty() && recipients_.empty())
        refuse("No recipient addresses found in message header");
    for (const auto& recipient : found)
        write_recipient(recipient);
}

int submission::run() {
    find_user_and_sender();
    check_submit_user(cfg_, log_);
    collect_recipients();
    check_verp();
    if (const auto& fix = cfg_[param::sendmail_fix_line_endings]; fix != "always" && fix != "strict" && fix != "never")
        log_.fatal("invalid sendmail_fix_line_endings value: " + fix);
    const auto path = find_command(cfg_, "postdrop");
    auto drop = postdrop_client::start(path, {"postdrop", "-r"});
    if (!drop)
        refuse("unable to execute " + path + " -r: " + drop.error().code.message());
    drop_.emplace(std::move(*drop));
    write_envelope();
    if (asked_.mode == mode::probe)
        write_probe();
    else
        copy_message();
    write_extracted();
    auto answer = drop_->finish();
    drop_.reset();
    if (!answer)
        refuse("unable to execute " + path + " -r: " + answer.error().detail);
    if (answer->status != 0)
        refuse(answer->reason.empty() ? std::string(reason_of(answer->status)) : answer->reason);
    if (asked_.verbose == 1 || asked_.mode == mode::probe)
        std::printf("Mail Delivery Status Report will be mailed to <%s>.\n", sender_.c_str());
    return 0;
}

} // namespace

std::string find_command(const configuration& cfg, const std::string& name) {
    auto installed = cfg[param::command_directory] + '/' + name;
    if (::access(installed.c_str(), X_OK) == 0)
        return installed;
    auto built = executable_directory() + "/../" + name + '/' + name;
    return ::access(built.c_str(), X_OK) == 0 ? built : installed;
}

void check_submit_user(const configuration& cfg, config::command_log& log) {
    const auto name = table::login_name(::getuid());
    auto allowed = table::lets_in("authorized_submit_users", cfg[param::authorized_submit_users], name);
    if (!allowed)
        log.warning(allowed.error().text());
    if (!allowed || !*allowed)
        log.fatal("User " + name + '(' + std::to_string(::getuid()) + ") is not allowed to submit mail");
}

int submit(const options& asked, const configuration& cfg, config::command_log& log) {
    return submission(asked, cfg, log).run();
}

} // namespace mta::sendmail
