// Drives a server_session as a service would, without sockets, and remembers what it did.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/smtp/server_session.hpp>

namespace session_test {

using mta::smtp::check_stage;
using mta::smtp::server_session;
using mta::smtp::server_settings;
using step = server_session::step;

inline server_settings plain_settings() {
    server_settings out;
    out.hostname = "mx.test";
    out.banner = "mx.test ESMTP";
    out.forbidden_commands = {"CONNECT", "GET", "POST"};
    out.discard_ehlo = 0;
    return out;
}

class script {
public:
    explicit script(server_settings settings = plain_settings(),
                    mta::smtp::server_peer peer = {"client.test", "192.0.2.1"})
        : settings_(std::move(settings)), session_(settings_, std::move(peer)) {}

    // Answers of the policy; "" permits.
    std::function<std::string(const server_session&)> policy = [](const server_session&) {
        return std::string();
    };
    std::string flush_reply;
    std::string commit_reply = "250 2.0.0 Ok: queued as 123456";

    // What the session said from the start, or since the last call.
    std::string start() {
        session_.start();
        return run();
    }
    std::string say(std::string_view bytes) {
        session_.feed(bytes);
        return run();
    }
    std::string hang_up() {
        session_.connection_lost();
        return run();
    }
    std::string be_silent() {
        session_.timed_out();
        return run();
    }

    server_session& session() { return session_; }

    struct message {
        std::string sender;
        std::vector<std::string> recipients;
        std::string content; // lines with "\n"
    };
    std::vector<message> messages; // committed
    std::vector<std::string> flushed; // sites of ETRN
    int discarded = 0;
    int pauses = 0;
    bool closed = false;
    std::vector<std::string> log;

    // Everything that must be so at any moment.
    std::string violation;

private:
    std::string run() {
        for (;;) {
            const step what = session_.next();
            for (const auto& line : session_.take_log())
                log.push_back(line.text);
            switch (what) {
            case step::read:
                return take();
            case step::close:
                closed = true;
                return take();
            case step::pause:
                ++pauses;
                break;
            case step::check:
                check_order();
                session_.answer({policy(session_)});
                break;
            case step::recipient:
                if (current_.recipients.empty())
                    current_.sender = session_.transaction().sender;
                current_.recipients.push_back(session_.recipient().address);
                session_.set_queue_id("123456");
                session_.answer({});
                break;
            case step::line:
                if (current_.recipients.empty())
                    violation = "content without a recipient";
                current_.content += session_.line();
                if (!session_.unterminated())
                    current_.content += '\n';
                break;
            case step::commit:
                if (current_.recipients.empty())
                    violation = "a message without a recipient";
                messages.push_back(std::exchange(current_, {}));
                session_.answer({commit_reply});
                break;
            case step::flush:
                flushed.push_back(session_.etrn_domain());
                session_.answer({flush_reply});
                break;
            case step::discard:
                ++discarded;
                current_ = {};
                break;
            }
        }
    }

    void check_order() {
        const auto stage = session_.stage();
        if (stage == check_stage::end_of_data && !data_asked_)
            violation = "end of data without data";
        if (stage == check_stage::data)
            data_asked_ = true;
        else if (stage == check_stage::end_of_data)
            data_asked_ = false;
    }

    std::string take() { return std::exchange(session_.output(), {}); }

    server_settings settings_;
    server_session session_;
    message current_;
    bool data_asked_ = false;
};

} // namespace session_test
