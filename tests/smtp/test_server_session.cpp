#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "session_script.hpp"

using namespace session_test;

namespace {

const std::string ok_mail = "MAIL FROM:<a@b.test>\r\n";
const std::string ok_rcpt = "RCPT TO:<bob@x.test>\r\n";
const std::string go_ahead = "354 End data with <CR><LF>.<CR><LF>\r\n";

// A session in one of the states that matter.
script in_state(const std::string& state) {
    script s;
    s.start();
    if (state != "fresh")
        s.say(state == "smtp" ? "HELO c.test\r\n" : "EHLO c.test\r\n");
    if (state == "mail" || state == "rcpt" || state == "chunk")
        s.say(ok_mail);
    if (state == "rcpt" || state == "chunk")
        s.say(ok_rcpt);
    if (state == "chunk")
        s.say("BDAT 3\r\na\r\n");
    return s;
}

} // namespace

TEST_CASE("each command in each state has its reply", "[smtp][session]") {
    struct row {
        std::string command, fresh, greeted, mail, rcpt, chunk;
    };
    const std::string ok = "250 2.0.0 Ok", mail_ok = "250 2.1.0 Ok",
                      nested = "503 5.5.1 Error: nested MAIL command",
                      need_mail = "503 5.5.1 Error: need MAIL command",
                      need_rcpt = "503 5.5.1 Error: need RCPT command",
                      no_rcpt = "554 5.5.1 Error: no valid recipients",
                      data = "354 End data with <CR><LF>.<CR><LF>",
                      unknown = "500 5.5.2 Error: command not recognized";
    const auto r = GENERATE_COPY(values<row>({
        {"HELO", "501 Syntax: HELO hostname", "501 Syntax: HELO hostname", "501 Syntax: HELO hostname",
         "501 Syntax: HELO hostname", "501 Syntax: HELO hostname"},
        {"EHLO", "501 Syntax: EHLO hostname", "501 Syntax: EHLO hostname", "501 Syntax: EHLO hostname",
         "501 Syntax: EHLO hostname", "501 Syntax: EHLO hostname"},
        {"HELO x y", "250 mx.test", "250 mx.test", "250 mx.test", "250 mx.test", "250 mx.test"},
        {"MAIL FROM:<>", mail_ok, mail_ok, nested, nested, nested},
        {"MAIL", "501 5.5.4 Syntax: MAIL FROM:<address>", "501 5.5.4 Syntax: MAIL FROM:<address>", nested,
         nested, nested},
        {"MAIL FROM:<a@-b>", "501 5.1.7 Bad sender address syntax", "501 5.1.7 Bad sender address syntax",
         nested, nested, nested},
        {"RCPT TO:<bob@x.test>", need_mail, need_mail, "250 2.1.5 Ok", "250 2.1.5 Ok",
         "503 5.5.1 Error: RCPT after BDAT"},
        {"RCPT", need_mail, need_mail, "501 5.5.4 Syntax: RCPT TO:<address>",
         "501 5.5.4 Syntax: RCPT TO:<address>", "503 5.5.1 Error: RCPT after BDAT"},
        {"RCPT TO:<>", need_mail, need_mail, "501 5.1.3 Bad recipient address syntax",
         "501 5.1.3 Bad recipient address syntax", "503 5.5.1 Error: RCPT after BDAT"},
        {"DATA", need_rcpt, need_rcpt, no_rcpt, data, "503 5.5.1 Error: DATA after BDAT"},
        {"DATA x", need_rcpt, need_rcpt, no_rcpt, "501 5.5.4 Syntax: DATA",
         "503 5.5.1 Error: DATA after BDAT"},
        {"BDAT 0 LAST", need_rcpt, need_rcpt, no_rcpt, "250 2.0.0 Ok: 0 bytes queued as 123456",
         "250 2.0.0 Ok: 3 bytes queued as 123456"},
        {"BDAT x", "521 5.5.4 Syntax: BDAT count [LAST]", "521 5.5.4 Syntax: BDAT count [LAST]",
         "521 5.5.4 Syntax: BDAT count [LAST]", "521 5.5.4 Syntax: BDAT count [LAST]",
         "521 5.5.4 Syntax: BDAT count [LAST]"},
        {"RSET", ok, ok, ok, ok, ok},
        {"RSET x", "501 5.5.4 Syntax: RSET", "501 5.5.4 Syntax: RSET", "501 5.5.4 Syntax: RSET",
         "501 5.5.4 Syntax: RSET", "501 5.5.4 Syntax: RSET"},
        {"NOOP", ok, ok, ok, ok, ok},
        {"noop x", ok, ok, ok, ok, ok},
        {"VRFY bob@x.test", "252 2.0.0 bob@x.test", "252 2.0.0 bob@x.test", "252 2.0.0 bob@x.test",
         "252 2.0.0 bob@x.test", "252 2.0.0 bob@x.test"},
        {"VRFY", "501 5.5.4 Syntax: VRFY address", "501 5.5.4 Syntax: VRFY address",
         "501 5.5.4 Syntax: VRFY address", "501 5.5.4 Syntax: VRFY address",
         "501 5.5.4 Syntax: VRFY address"},
        {"ETRN x.test", "250 Queuing started", "250 Queuing started",
         "503 Error: MAIL transaction in progress", "503 Error: MAIL transaction in progress",
         "503 Error: MAIL transaction in progress"},
        {"ETRN", "500 Syntax: ETRN domain", "500 Syntax: ETRN domain",
         "503 Error: MAIL transaction in progress", "503 Error: MAIL transaction in progress",
         "503 Error: MAIL transaction in progress"},
        {"HELP", unknown, unknown, unknown, unknown, unknown},
        {"AUTH PLAIN", "503 5.5.1 Error: authentication not enabled",
         "503 5.5.1 Error: authentication not enabled", "503 5.5.1 Error: authentication not enabled",
         "503 5.5.1 Error: authentication not enabled", "503 5.5.1 Error: authentication not enabled"},
        {"STARTTLS", "502 5.5.1 Error: command not implemented", "502 5.5.1 Error: command not implemented",
         "502 5.5.1 Error: command not implemented", "502 5.5.1 Error: command not implemented",
         "502 5.5.1 Error: command not implemented"},
        {"QUIT", "221 2.0.0 Bye", "221 2.0.0 Bye", "221 2.0.0 Bye", "221 2.0.0 Bye", "221 2.0.0 Bye"},
        {"", "500 5.5.2 Error: bad syntax", "500 5.5.2 Error: bad syntax", "500 5.5.2 Error: bad syntax",
         "500 5.5.2 Error: bad syntax", "500 5.5.2 Error: bad syntax"},
        {"GET / HTTP/1.0", "221 2.7.0 Error: I can break rules, too. Goodbye.",
         "221 2.7.0 Error: I can break rules, too. Goodbye.",
         "221 2.7.0 Error: I can break rules, too. Goodbye.",
         "221 2.7.0 Error: I can break rules, too. Goodbye.",
         "221 2.7.0 Error: I can break rules, too. Goodbye."},
    }));
    CAPTURE(r.command);
    const std::pair<const char*, std::string> states[] = {{"fresh", r.fresh},  {"greeted", r.greeted},
                                                          {"smtp", r.greeted}, {"mail", r.mail},
                                                          {"rcpt", r.rcpt},    {"chunk", r.chunk}};
    for (const auto& [state, expected] : states) {
        CAPTURE(state);
        auto s = in_state(state);
        REQUIRE(s.say(r.command + "\r\n") == expected + "\r\n");
        REQUIRE(s.violation.empty());
        const bool ends = expected.starts_with("221") || expected.starts_with("521");
        REQUIRE(s.closed == ends);
        // The same, byte by byte.
        auto slow = in_state(state);
        std::string out;
        for (const char c : r.command + "\r\n")
            out += slow.say(std::string(1, c));
        REQUIRE(out == expected + "\r\n");
    }
}

TEST_CASE("EHLO offers what is served and hides what is discarded", "[smtp][session]") {
    script s;
    REQUIRE(s.start() == "220 mx.test ESMTP\r\n");
    REQUIRE(s.say("EHLO c\r\n") ==
            "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
            "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250 CHUNKING\r\n");
    auto settings = plain_settings();
    settings.discard_ehlo = mta::smtp::ehlo_pipelining | mta::smtp::ehlo_size | mta::smtp::ehlo_chunking |
                            mta::smtp::ehlo_dsn | mta::smtp::ehlo_8bitmime | mta::smtp::ehlo_enhanced |
                            mta::smtp::ehlo_etrn;
    settings.disable_vrfy = true;
    script bare(settings);
    bare.start();
    REQUIRE(bare.say("EHLO c\r\n") == "250 mx.test\r\n");
    REQUIRE(bare.say("VRFY x\r\n") == "502 5.5.1 VRFY command is disabled\r\n");
    REQUIRE(bare.say("MAIL FROM:<> SIZE=1\r\n") == "555 5.5.4 Unsupported option: SIZE=1\r\n");
    REQUIRE(bare.say("MAIL FROM:<> BODY=7BIT\r\n") == "555 5.5.4 Unsupported option: BODY=7BIT\r\n");
    REQUIRE(bare.say("MAIL FROM:<> RET=FULL\r\n") == "501 5.7.1 DSN support is disabled\r\n");
    REQUIRE(bare.say("BDAT 1\r\n") == "521 5.5.1 Error: command not implemented\r\n");
    REQUIRE(bare.closed);
}

TEST_CASE("options of MAIL and RCPT", "[smtp][session]") {
    const auto [command, expected] = GENERATE(table<std::string, std::string>({
        {"MAIL FROM:<> SIZE=10240000", "250 2.1.0 Ok"},
        {"MAIL FROM:<> SIZE=10240001", "552 5.3.4 Message size exceeds fixed limit"},
        {"MAIL FROM:<> SIZE=99999999999999999999",
         "552 5.3.4 Message size exceeds file system imposed limit"},
        {"MAIL FROM:<> SIZE=", "501 5.5.4 Bad message size syntax"},
        {"MAIL FROM:<> SIZE=-1", "501 5.5.4 Bad message size syntax"},
        {"MAIL FROM:<> SIZE=1x", "501 5.5.4 Bad message size syntax"},
        {"MAIL FROM:<> SIZE", "555 5.5.4 Unsupported option: SIZE"},
        {"MAIL FROM:<> FOO", "555 5.5.4 Unsupported option: FOO"},
        {"MAIL FROM:<> <x>", "555 5.5.4 Unsupported option: <x>"},
        {"MAIL FROM:<> BODY=8BITMIME SIZE=0 RET=HDRS ENVID=foo+2Bbar", "250 2.1.0 Ok"},
        {"MAIL FROM:<> BODY=BINARYMIME", "555 5.5.4 Unsupported option: BODY=BINARYMIME"},
        {"MAIL FROM:<> RET=FULL RET=HDRS", "501 5.5.4 Bad RET parameter syntax"},
        {"MAIL FROM:<> ENVID=", "501 5.5.4 Bad ENVID parameter syntax"},
        {"MAIL FROM:<> ENVID=a ENVID=b", "501 5.5.4 Bad ENVID parameter syntax"},
        {"MAIL FROM:<> ENVID=+0A", "501 5.5.4 Bad ENVID parameter syntax"},
        {"MAIL FROM:<> AUTH=<>", "250 2.1.0 Ok"},
        {"MAIL FROM:<> AUTH=+0A", "555 5.5.4 Unsupported option: AUTH=+0A"},
        {"RCPT TO:<b@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+40x", "250 2.1.5 Ok"},
        {"RCPT TO:<b@x.test> NOTIFY=x", "501 5.5.4 Error: Bad NOTIFY parameter syntax"},
        {"RCPT TO:<b@x.test> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4 Error: Bad NOTIFY parameter syntax"},
        {"RCPT TO:<b@x.test> ORCPT=x", "501 5.5.4 Error: Bad ORCPT parameter syntax"},
        {"RCPT TO:<b@x.test> ORCPT=;x", "501 5.5.4 Error: Bad ORCPT parameter syntax"},
        {"RCPT TO:<b@x.test> ORCPT=rfc822;a+0Ab", "501 5.5.4 Error: Bad ORCPT parameter syntax"},
        {"RCPT TO:<b@x.test> ORCPT=a b;c", "501 5.5.4 Error: Bad ORCPT parameter syntax"},
        {"RCPT TO:<b@x.test> FOO=1", "555 5.5.4 Unsupported option: FOO=1"},
        {"RCPT TO:<-b@x.test>", "501 5.1.3 Bad recipient address syntax"},
    }));
    CAPTURE(command);
    script s;
    s.start();
    s.say("EHLO c\r\n");
    if (command.starts_with("RCPT"))
        s.say(ok_mail);
    REQUIRE(s.say(command + "\r\n") == expected + "\r\n");
    if (command.starts_with("MAIL")) {
        const bool active = expected.starts_with("250");
        REQUIRE(s.session().transaction().active == active);
        // A refused MAIL leaves nothing behind.
        if (!active)
            REQUIRE(s.say("MAIL FROM:<> BODY=8BITMIME\r\n") == "250 2.1.0 Ok\r\n");
        REQUIRE(s.session().transaction().body ==
                (command.find("7BIT") == std::string::npos &&
                         (!active || command.find("8BITMIME") != std::string::npos)
                     ? "8bit"
                     : ""));
    }
}

TEST_CASE("a pipelined message is answered in one go", "[smtp][session]") {
    script s;
    s.start();
    s.say("EHLO c\r\n");
    REQUIRE(s.say(ok_mail + ok_rcpt + "RCPT TO:<c@x.test>\r\nDATA\r\n") ==
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n" + go_ahead);
    REQUIRE(s.say("Subject: x\r\n\r\n..y\r\n.\r\n" + ok_mail) ==
            "250 2.0.0 Ok: queued as 123456\r\n250 2.1.0 Ok\r\n");
    REQUIRE(s.messages.size() == 1);
    REQUIRE(s.messages[0].recipients == std::vector<std::string>{"bob@x.test", "c@x.test"});
    REQUIRE(s.messages[0].sender == "a@b.test");
    REQUIRE(s.messages[0].content == "Subject: x\n\n.y\n");
    REQUIRE(s.say("QUIT\r\n") == "221 2.0.0 Bye\r\n");
    REQUIRE(s.session().counters() == "ehlo=1 mail=2 rcpt=2 data=1 quit=1 commands=7");
    REQUIRE(s.session().ending().empty());
    REQUIRE(s.log.empty());
}

TEST_CASE("a thousand pipelined recipients, cut at odd places", "[smtp][session]") {
    script s;
    s.start();
    s.say("EHLO c\r\n");
    std::string bytes = ok_mail;
    for (int i = 0; i < 1001; ++i)
        bytes += "RCPT TO:<user" + std::to_string(i) + "@x.test>\r\n";
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 4093)
        out += s.say(bytes.substr(at, 4093));
    REQUIRE(s.session().transaction().recipients == 1000);
    REQUIRE(out.ends_with("250 2.1.5 Ok\r\n452 4.5.3 Error: too many recipients\r\n"));
}

TEST_CASE("recipients beyond the overshoot are errors", "[smtp][session]") {
    auto settings = plain_settings();
    settings.recipient_limit = 2;
    settings.recipient_overshoot = 1;
    script s(settings);
    s.start();
    s.say(ok_mail + ok_rcpt + ok_rcpt);
    REQUIRE(s.say(ok_rcpt) == "452 4.5.3 Error: too many recipients\r\n");
    REQUIRE(s.session().counters().find("rcpt=3") != std::string::npos);
    s.say(ok_rcpt);
    REQUIRE(s.session().counters().find("rcpt=3/4") != std::string::npos);
}

TEST_CASE("the policy's answers", "[smtp][session]") {
    script s;
    auto refused = check_stage::recipient;
    s.policy = [&](const server_session& session) {
        return session.stage() == refused ? std::string("554 5.7.1 no") : std::string();
    };
    s.start();
    s.say("EHLO c\r\n" + ok_mail);
    REQUIRE(s.say(ok_rcpt) == "554 5.7.1 no\r\n");
    REQUIRE(s.say("DATA\r\n") == "554 5.5.1 Error: no valid recipients\r\n");
    refused = check_stage::data;
    s.say(ok_rcpt);
    REQUIRE(s.say("DATA\r\n") == "554 5.7.1 no\r\n");
    REQUIRE(s.say("BDAT 4 LAST\r\nNOOP") == "554 5.7.1 no\r\n");
    refused = check_stage::end_of_data;
    s.say("RSET\r\n" + ok_mail + ok_rcpt + "DATA\r\n");
    const int before = s.discarded;
    REQUIRE(s.say("x\r\n.\r\n") == "554 5.7.1 no\r\n");
    REQUIRE(s.discarded == before + 1);
    REQUIRE(s.messages.empty());
    // The refused message leaves no transaction.
    REQUIRE(s.say("DATA\r\n") == "503 5.5.1 Error: need RCPT command\r\n");
    refused = check_stage::helo;
    REQUIRE(s.say("EHLO d\r\n") == "554 5.7.1 no\r\n");
    refused = check_stage::mail;
    REQUIRE(s.say(ok_mail) == "554 5.7.1 no\r\n");
    refused = check_stage::vrfy;
    REQUIRE(s.say("VRFY a\r\n") == "554 5.7.1 no\r\n");
    REQUIRE(s.violation.empty());
}

TEST_CASE("421 and 521 of the policy end the session", "[smtp][session]") {
    const auto code = GENERATE(as<std::string>(), "421 4.7.0 go", "521 5.7.0 go");
    const auto stage = GENERATE(check_stage::connect, check_stage::mail, check_stage::recipient,
                                check_stage::data, check_stage::end_of_data);
    script s;
    s.policy = [&](const server_session& session) { return session.stage() == stage ? code : std::string(); };
    std::string out = s.start();
    for (const auto& line : {ok_mail, ok_rcpt, std::string("DATA\r\n"), std::string("x\r\n.\r\n")})
        if (!s.closed)
            out += s.say(line);
    REQUIRE(s.closed);
    REQUIRE(out.ends_with(code + "\r\n"));
    REQUIRE(s.messages.empty());
}

TEST_CASE("a client refused at connect may only quit", "[smtp][session]") {
    script s;
    s.policy = [](const server_session& session) {
        return session.stage() == check_stage::connect ? "554 5.7.1 go away" : "";
    };
    REQUIRE(s.start() == "554 5.7.1 go away\r\n");
    REQUIRE(s.say("EHLO x\r\n") == "503 5.7.0 Error: access denied for client.test[192.0.2.1]\r\n");
    REQUIRE(s.say(ok_mail) == "503 5.7.0 Error: access denied for client.test[192.0.2.1]\r\n");
    REQUIRE(s.say("QUIT\r\n") == "221 2.0.0 Bye\r\n");
    REQUIRE(s.session().counters() == "ehlo=0/1 mail=0/1 quit=1 commands=1/3");
}

TEST_CASE("too many errors end the session, after pauses", "[smtp][session]") {
    auto settings = plain_settings();
    settings.soft_error_limit = 2;
    settings.hard_error_limit = 4;
    script s(settings);
    s.start();
    for (int i = 0; i < 3; ++i)
        REQUIRE(s.say("FOO\r\n") == "500 5.5.2 Error: command not recognized\r\n");
    REQUIRE(s.pauses == 1);
    REQUIRE(s.say("FOO\r\n") ==
            "500 5.5.2 Error: command not recognized\r\n421 4.7.0 mx.test Error: too many errors\r\n");
    REQUIRE(s.pauses == 3);
    REQUIRE(s.closed);
    REQUIRE(s.session().ending() == "too many errors after UNKNOWN from client.test[192.0.2.1]");
}

TEST_CASE("commands that move no mail become errors", "[smtp][session]") {
    auto settings = plain_settings();
    settings.junk_limit = 5;
    settings.hard_error_limit = 3;
    script s(settings);
    s.start();
    for (int i = 0; i < 6; ++i)
        s.say("NOOP\r\n");
    REQUIRE_FALSE(s.closed);
    s.say("NOOP\r\nRSET\r\nVRFY a\r\n");
    REQUIRE(s.closed);
}

TEST_CASE("content over the size limit is refused and skipped", "[smtp][session]") {
    auto settings = plain_settings();
    settings.message_size_limit = 100;
    const auto extra = GENERATE(0, 1);
    const auto chunked = GENERATE(false, true);
    CAPTURE(extra, chunked);
    script s(settings);
    s.start();
    s.say("EHLO c\r\n" + ok_mail + ok_rcpt);
    const std::string content =
        std::string(48, 'x') + "\r\n" + std::string(static_cast<std::size_t>(48 + extra), 'y') + "\r\n";
    std::string out;
    if (chunked)
        out = s.say("BDAT " + std::to_string(content.size()) + " LAST\r\n" + content);
    else
        out = s.say("DATA\r\n" + content + ".\r\n").substr(go_ahead.size());
    if (extra == 0) {
        REQUIRE(out.starts_with("250 2.0.0 Ok: "));
        REQUIRE(s.messages.size() == 1);
    } else {
        REQUIRE(out == (chunked ? "552 5.3.4 Chunk exceeds message size limit\r\n"
                                : "552 5.3.4 Error: message file too big\r\n"));
        REQUIRE(s.messages.empty());
    }
    REQUIRE(s.say("NOOP\r\n") == "250 2.0.0 Ok\r\n");
    REQUIRE(s.say(ok_mail) == "250 2.1.0 Ok\r\n");
}

TEST_CASE("a message of chunks is one message", "[smtp][session]") {
    script s;
    s.start();
    s.say("EHLO c\r\n" + ok_mail + ok_rcpt);
    REQUIRE(s.say("BDAT 3\r\na\r\nBDAT 5\r\n.\r\nbcBDAT 3 LAST\r\nd\r\nNOOP\r\n") ==
            "250 2.0.0 Ok: 3 bytes\r\n250 2.0.0 Ok: 6 bytes\r\n250 2.0.0 Ok: 11 bytes queued as "
            "123456\r\n250 2.0.0 Ok\r\n");
    REQUIRE(s.messages.size() == 1);
    REQUIRE(s.messages[0].content == "a\n.\nbcd\n");
}

TEST_CASE("after a failed chunk the rest is discarded", "[smtp][session]") {
    script s;
    s.start();
    s.say("EHLO c\r\n" + ok_mail + ok_rcpt);
    REQUIRE(s.say("BDAT 0\r\n") == "551 5.7.1 Null BDAT request\r\n");
    REQUIRE(s.say("BDAT 4\r\nQUITBDAT 4 LAST\r\nQUIT") ==
            "551 5.0.0 Discarded 4 bytes after earlier error\r\n551 5.0.0 Discarded 4 bytes after earlier "
            "error\r\n");
    REQUIRE(s.discarded == 1);
    REQUIRE(s.say("BDAT 4 LAST\r\nQUIT") == "503 5.5.1 Error: need RCPT command\r\n");
    REQUIRE_FALSE(s.closed);
    REQUIRE(s.say(ok_mail) == "250 2.1.0 Ok\r\n");
    REQUIRE(s.messages.empty());
}

TEST_CASE("bare newlines by policy", "[smtp][session]") {
    auto settings = plain_settings();
    settings.newline_policy = GENERATE(mta::smtp::bare_newline::normalize, mta::smtp::bare_newline::reject,
                                       mta::smtp::bare_newline::note, mta::smtp::bare_newline::accept);
    const auto policy = settings.newline_policy;
    script s(settings);
    s.start();
    s.say("EHLO c\r\n" + ok_mail + ok_rcpt + "DATA\r\n");
    const auto out = s.say("a\n.\n" + ok_mail + ok_rcpt + "DATA\r\nsmuggled\r\n.\r\n");
    REQUIRE(s.messages.size() == (policy == mta::smtp::bare_newline::accept   ? 2u
                                  : policy == mta::smtp::bare_newline::reject ? 0u
                                                                              : 1u));
    if (policy == mta::smtp::bare_newline::reject) {
        REQUIRE(out == "550 5.5.2 mx.test Error: bare <LF> received\r\n");
        REQUIRE(s.log.back() ==
                "123456: reject: END-OF-MESSAGE from client.test[192.0.2.1]: bare <LF> received; "
                "from=<a@b.test> to=<bob@x.test> proto=ESMTP helo=<c>");
        REQUIRE(s.say("NOOP\n") == "550 5.5.2 mx.test Error: bare <LF> received\r\n");
        REQUIRE(s.closed);
    } else {
        REQUIRE(s.say("NOOP\n") == "250 2.0.0 Ok\r\n");
    }
}

TEST_CASE("a peer that is excluded may use bare newlines", "[smtp][session]") {
    mta::smtp::server_peer peer;
    peer.bare_newline_excluded = true;
    script s(plain_settings(), peer);
    s.start();
    s.say(ok_mail + ok_rcpt + "DATA\r\n");
    s.say("a\n.\n");
    REQUIRE(s.messages.size() == 1);
}

TEST_CASE("talking ahead is logged once, and refused where forbidden", "[smtp][session]") {
    script s;
    s.start();
    s.say("EHLO c\r\nNOOP\r\n");
    s.say("NOOP\r\nNOOP\r\n");
    REQUIRE(s.log == std::vector<std::string>{
                         "improper command pipelining after EHLO from client.test[192.0.2.1]: NOOP\\r\\n"});
    auto settings = plain_settings();
    settings.forbid_unauth_pipelining = true;
    script strict(settings);
    strict.start();
    REQUIRE(strict.say("EHLO c\r\nNOOP\r\n") == "554 5.5.0 Error: SMTP protocol synchronization\r\n");
    REQUIRE(strict.closed);
    script legal(settings);
    legal.start();
    legal.say("EHLO c\r\n");
    legal.say(ok_mail + ok_rcpt + "RSET\r\n" + ok_mail + ok_rcpt + "BDAT 3 LAST\r\na\r\nQUIT\r\n");
    REQUIRE(legal.messages.size() == 1);
    script early(settings);
    early.session().feed("EHLO c\r\n");
    early.session().start(true);
    REQUIRE(early.say("") == "554 5.5.0 Error: SMTP protocol synchronization\r\n");
}

TEST_CASE("over-long commands are cut, told, and do no harm", "[smtp][session]") {
    auto settings = plain_settings();
    settings.line_limit = 512;
    script s(settings);
    s.start();
    const auto length = GENERATE(511u, 512u, 513u, 100000u);
    CAPTURE(length);
    std::string bytes = "NOOP " + std::string(length - 5, 'x') + "\r\n";
    std::string out;
    while (!bytes.empty()) {
        out += s.say(bytes.substr(0, 1000));
        bytes.erase(0, 1000);
    }
    REQUIRE(out == "250 2.0.0 Ok\r\n");
    REQUIRE(s.log.size() == (length > 512 ? 1u : 0u));
    if (length > 512)
        REQUIRE(s.log[0] ==
                "client.test[192.0.2.1]: request longer than 512: NOOP xxxxxxxxxxxxxxxxxxxxxxxxx...");
}

TEST_CASE("protocols that are not SMTP are sent away", "[smtp][session]") {
    const auto line = GENERATE(as<std::string>(), "GET / HTTP/1.1", "connect x", "POST /",
                               std::string("\x16\x03\x01", 3), "From: x", "Subject:x", "\"", "<", "{}");
    CAPTURE(line);
    script s;
    s.start();
    REQUIRE(s.say(line + "\r\nEHLO x\r\n") == "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n");
    REQUIRE(s.closed);
    REQUIRE(s.log.size() == 1);
    REQUIRE(s.session().counters() == "unknown=0/1 commands=0/1");
}

TEST_CASE("invalid UTF-8 is refused", "[smtp][session]") {
    script s;
    s.start();
    REQUIRE(s.say("NOOP \xe9\r\n") == "500 5.5.2 Error: bad UTF-8 syntax\r\n");
    REQUIRE(s.say("NOOP \xc3\xa9\r\n") == "250 2.0.0 Ok\r\n");
}

TEST_CASE("no control byte of a client gets into a reply", "[smtp][session]") {
    script s;
    s.start();
    s.policy = [](const server_session& session) {
        return session.stage() == check_stage::recipient
                   ? "554 5.7.1 <" + session.recipient().address + ">: no"
                   : "";
    };
    s.say("EHLO c\r\n" + ok_mail);
    REQUIRE(s.say("RCPT TO:<\"a\rb\x01\"@x.test>\r\n") == "554 5.7.1 <a b @x.test>: no\r\n");
}

TEST_CASE("how a session ends is told", "[smtp][session]") {
    auto s = in_state("rcpt");
    SECTION("lost") {
        REQUIRE(s.hang_up().empty());
        REQUIRE(s.session().ending() == "lost connection after RCPT from client.test[192.0.2.1]");
        REQUIRE(s.discarded == 1);
    }
    SECTION("lost in content") {
        s.say("DATA\r\n12345\r\n");
        s.hang_up();
        REQUIRE(s.session().ending() == "lost connection after DATA (7 bytes) from client.test[192.0.2.1]");
        REQUIRE(s.session().counters() == "ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4");
        REQUIRE(s.discarded == 1);
        REQUIRE(s.messages.empty());
    }
    SECTION("lost after the message") {
        s.say("DATA\r\n.\r\n");
        s.hang_up();
        REQUIRE(s.session().ending().empty());
    }
    SECTION("silent") {
        REQUIRE(s.be_silent() == "421 4.4.2 mx.test Error: timeout exceeded\r\n");
        REQUIRE(s.session().ending() == "timeout after RCPT from client.test[192.0.2.1]");
    }
    SECTION("at once") {
        script fresh;
        fresh.start();
        fresh.hang_up();
        REQUIRE(fresh.session().ending() == "lost connection after CONNECT from client.test[192.0.2.1]");
        REQUIRE(fresh.session().counters() == "commands=0/0");
    }
    REQUIRE(s.closed == (s.session().ending() != "" || s.closed));
}

TEST_CASE("a service that stops ends sessions between messages", "[smtp][session]") {
    script idle;
    idle.start();
    idle.session().shut_down();
    REQUIRE(idle.say("NOOP\r\n") == "421 4.3.2 mx.test Error: server is shutting down\r\n");
    REQUIRE(idle.closed);
    auto busy = in_state("rcpt");
    busy.say("DATA\r\nx\r\n");
    busy.session().shut_down();
    REQUIRE(busy.say(".\r\n") ==
            "250 2.0.0 Ok: queued as 123456\r\n421 4.3.2 mx.test Error: server is shutting down\r\n");
    REQUIRE(busy.messages.size() == 1);
}

TEST_CASE("the session keeps its memory however much it is told", "[smtp][session]") {
    auto settings = plain_settings();
    settings.junk_limit = 1000000000;
    script s(settings);
    s.start();
    std::string noops;
    for (int i = 0; i < 100; ++i)
        noops += "NOOP\r\n";
    for (int i = 0; i < 1000; ++i)
        s.say(noops);
    REQUIRE(s.session().counters() == "noop=100000 commands=100000");
    REQUIRE(s.session().read_buffer().size() <= 4096);
}

TEST_CASE("settings name what they cannot do", "[smtp][settings]") {
    REQUIRE(mta::smtp::parse_ehlo_keywords("chunking, dsn\tsilent-discard") ==
            (mta::smtp::ehlo_chunking | mta::smtp::ehlo_dsn | mta::smtp::ehlo_silent));
    REQUIRE_FALSE(mta::smtp::parse_ehlo_keywords("chunking foo"));
    REQUIRE(mta::smtp::ehlo_keyword_names(mta::smtp::ehlo_chunking | mta::smtp::ehlo_dsn) == "DSN CHUNKING");
}
