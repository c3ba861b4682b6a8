#include "smtp_mode.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/message/trace.hpp>
#include <mta/smtp/server_session.hpp>

#include "postdrop_client.hpp"
#include "submit.hpp"

namespace mta::sendmail {

namespace {

using queue::record_type;
using step = smtp::server_session::step;

constexpr std::string_view write_trouble = "451 4.3.0 Error: queue file write error";

std::string reply_of(const submission_answer& answer) {
    if (answer.status == 0)
        return "250 2.0.0 Ok: queued as " + answer.queue_id;
    if (!answer.reason.empty() && (answer.status & 8U) != 0)
        return "550 5.7.1 " + printable(answer.reason);
    if ((answer.status & 512U) != 0)
        return "550 5.7.1 Error: operation not permitted";
    if ((answer.status & 4U) != 0)
        return "552 5.3.4 Error: message file too big";
    return std::string(write_trouble);
}

class smtp_server {
public:
    smtp_server(const configuration& cfg, const smtp::server_settings& settings)
        : cfg_(cfg), settings_(settings),
          session_(settings, {.name = "localhost",
                              .address = "127.0.0.1",
                              .bare_newline_excluded = true, // a program on this machine, as ever
                              .discard_ehlo = 0}) {}

    int run() {
        session_.start();
        for (;;) {
            const auto what = session_.next();
            (void)session_.take_log(); // standard error is the caller's, and there is nobody else
            switch (what) {
            case step::read:
                read();
                break;
            case step::pause:
                (void)::poll(nullptr, 0, static_cast<int>(settings_.error_sleep.count()));
                break;
            case step::check:
                session_.answer({});
                break;
            case step::recipient:
                recipients_.push_back(session_.recipient());
                session_.answer({});
                break;
            case step::line:
                if (begin())
                    drop_->put(session_.unterminated() ? record_type::unterminated : record_type::text, session_.line());
                else
                    session_.refuse_content(std::string(write_trouble));
                break;
            case step::commit:
                commit();
                break;
            case step::flush: // a caller that wants this has sendmail -qR
                session_.answer({"458 Unable to queue messages"});
                break;
            case step::discard:
                forget();
                break;
            case step::close:
                forget();
                write();
                return 0;
            }
        }
    }

private:
    void write() {
        auto& out = session_.output();
        if (!out.empty() && !write_all(STDOUT_FILENO, out))
            session_.connection_lost();
        out.clear();
    }

    void read() {
        write();
        pollfd input{STDIN_FILENO, POLLIN, 0};
        const int ready = ::poll(&input, 1, static_cast<int>(settings_.timeout.count()));
        if (ready == 0) {
            session_.timed_out();
            return;
        }
        const auto buffer = session_.read_buffer();
        ssize_t got = 0;
        do
            got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        while (got < 0 && errno == EINTR);
        if (got > 0)
            session_.received(static_cast<std::size_t>(got));
        else
            session_.connection_lost();
    }

    // Starts postdrop and gives it the envelope, once for each message.
    bool begin() {
        if (drop_)
            return true;
        auto drop = postdrop_client::start(find_command(cfg_, "postdrop"), {"postdrop", "-r"});
        if (!drop)
            return false;
        drop_.emplace(std::move(*drop));
        const auto id = drop_->queue_id();
        if (id.empty()) {
            forget();
            return false;
        }
        const auto& about = session_.transaction();
        if (!about.dsn_envid.empty())
            drop_->put_attribute("envelope_id", about.dsn_envid);
        if (about.dsn_ret != 0)
            drop_->put_attribute("ret_flags", std::to_string(about.dsn_ret));
        drop_->put(record_type::sender, about.sender);
        if (!about.body.empty())
            drop_->put_attribute("encoding", about.body);
        for (const auto& to : recipients_) {
            if (to.notify != 0)
                drop_->put_attribute("notify_flags", std::to_string(to.notify));
            drop_->put_attribute("dsn_orig_rcpt",
                                 to.dsn_orig_rcpt.empty() ? "rfc822;" + address::quote(to.address) : to.dsn_orig_rcpt);
            drop_->put(record_type::recipient, to.address);
        }
        drop_->put(record_type::message, {});
        write_trace(id);
        return true;
    }

    void write_trace(const std::string& id) {
        const auto single = recipients_.size() == 1 ? address::quote(recipients_.front().address) : std::string();
        const auto helo = message::trace_text(session_.helo().empty() ? "localhost" : session_.helo());
        const auto field = message::received_by_smtp({.helo = helo,
                                                      .client_name = "localhost",
                                                      .client_address = "127.0.0.1",
                                                      .myhostname = cfg_[param::myhostname],
                                                      .mail_name = cfg_[param::mail_name],
                                                      .protocol = session_.protocol(),
                                                      .queue_id = id,
                                                      .recipient = single,
                                                      .authenticated_user = {},
                                                      .tls = {},
                                                      .when = std::time(nullptr)});
        for (const auto line : split(field, "\n"))
            drop_->put(record_type::text, line);
    }

    void commit() {
        if (!begin()) {
            session_.answer({std::string(write_trouble)});
            return;
        }
        drop_->put(record_type::extracted, {});
        const auto answer = drop_->finish();
        drop_.reset();
        recipients_.clear();
        session_.answer({answer ? reply_of(*answer) : std::string(write_trouble)});
    }

    void forget() {
        if (drop_)
            drop_->cancel();
        drop_.reset();
        recipients_.clear();
    }

    const configuration& cfg_;
    const smtp::server_settings& settings_;
    smtp::server_session session_;
    std::vector<smtp::server_recipient> recipients_; // of the transaction
    std::optional<postdrop_client> drop_;            // from the first line of the message on
};

} // namespace

int talk_smtp(const configuration& cfg, config::command_log& log) {
    const auto settings = smtp::load_server_settings(cfg);
    if (!settings)
        log.fatal(settings.error());
    return smtp_server(cfg, *settings).run();
}

} // namespace mta::sendmail
