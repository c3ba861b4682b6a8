// The SMTP client against scripted servers: what it sends, and what becomes of each recipient.
#include <catch2/catch.hpp>

#include <mta/smtp/client_session.hpp>

using namespace mta::smtp;

namespace {

client_options options() {
    client_options out;
    out.helo_name = "client.example";
    out.peer = "mx.example[192.0.2.1]";
    out.nexthop = "example";
    return out;
}

client_transaction message(std::size_t recipients = 1, bool last = true) {
    client_transaction out;
    out.sender = "from@client.example";
    out.size = 100;
    out.last = last;
    for (std::size_t i = 0; i < recipients; ++i)
        out.recipients.push_back({"to" + std::to_string(i) + "@example", {}, {}, 0});
    return out;
}

// Plays a server: hands out one reply each time the client waits, sends the text when asked, and keeps what was sent.
struct play {
    explicit play(client_options o = options()) : session(std::move(o)) {}

    void run(std::vector<std::string> replies, std::string_view text = "Subject: x") {
        std::size_t next = 0;
        for (int turns = 0; turns < 10000; ++turns) {
            sent += session.take_output();
            const auto need = session.wants();
            if (need == client_need::content) {
                data_encoder encoder;
                encoder.line(sent, text, false);
                session.content_end(sent, encoder);
            } else if (need == client_need::reply) {
                if (next == replies.size())
                    return;
                const std::string& reply = replies[next++];
                if (reply == "DROP")
                    session.on_lost();
                else if (reply == "SILENCE")
                    session.on_timeout();
                else
                    session.on_bytes(reply);
            } else {
                return;
            }
        }
        FAIL("no end");
    }

    client_session session;
    std::string sent;
};

const std::string plain_ehlo = "250-mx.example\r\n250 8BITMIME\r\n";
const std::string full_ehlo = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
                              "250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n";

} // namespace

TEST_CASE("without PIPELINING one command goes at a time", "[smtp][client]") {
    play p;
    p.session.begin(message());
    p.run({"220 mx ESMTP\r\n", plain_ehlo, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 2.0.0 kept\r\n"});
    CHECK(p.sent == "EHLO client.example\r\nMAIL FROM:<from@client.example>\r\nRCPT TO:<to0@example>\r\nDATA\r\n"
                    "Subject: x\r\n.\r\nQUIT\r\n");
    REQUIRE(p.session.results().size() == 1);
    CHECK(p.session.results()[0].verdict == client_verdict::sent);
    CHECK(p.session.results()[0].dsn == "2.0.0");
    CHECK(p.session.results()[0].reason == "250 2.0.0 kept");
    CHECK(p.session.wants() == client_need::closed);
}

TEST_CASE("with PIPELINING the envelope leaves in one piece", "[smtp][client]") {
    client_session session(options());
    session.begin(message(3));
    session.on_bytes("220 mx ESMTP\r\n");
    CHECK(session.take_output() == "EHLO client.example\r\n");
    session.on_bytes(full_ehlo);
    CHECK(session.take_output() == "MAIL FROM:<from@client.example> SIZE=100\r\nRCPT TO:<to0@example>\r\n"
                                   "RCPT TO:<to1@example>\r\nRCPT TO:<to2@example>\r\nDATA\r\n");
    session.on_bytes("250 a\r\n250 b\r\n550 5.1.1 no\r\n250 d\r\n354 go\r\n");
    REQUIRE(session.wants() == client_need::content);
    std::string out;
    data_encoder encoder;
    encoder.line(out, ".", false);
    session.content_end(out, encoder);
    CHECK(out == "..\r\n.\r\nQUIT\r\n");
    session.on_bytes("250 fine\r\n");
    CHECK(session.results()[0].reason == "250 fine");
    CHECK(session.results()[1].verdict == client_verdict::hard);
    CHECK(session.results()[1].dsn == "5.1.1");
    CHECK(session.results()[1].reason ==
          "host mx.example[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)");
    CHECK(session.results()[2].verdict == client_verdict::sent);
}

TEST_CASE("parameters are given when the server offers them", "[smtp][client]") {
    client_session session(options());
    auto work = message(2);
    work.encoding = "8bit";
    work.envid = "id+1 x";
    work.ret = 2;
    work.sender = "odd name@client.example";
    work.recipients[0] = {"a@example", "orig@example", "", 6};
    work.recipients[1] = {"b@example", "orig@example", "rfc822;x+y@example", 1};
    session.begin(work);
    session.on_bytes("220 mx ESMTP\r\n");
    (void)session.take_output();
    session.on_bytes(full_ehlo);
    CHECK(session.take_output() ==
          "MAIL FROM:<\"odd name\"@client.example> SIZE=100 BODY=8BITMIME ENVID=id+2B1+20x RET=HDRS\r\n"
          "RCPT TO:<a@example> ORCPT=rfc822;orig@example NOTIFY=SUCCESS,FAILURE\r\n"
          "RCPT TO:<b@example> ORCPT=rfc822;x+2By@example NOTIFY=NEVER\r\nDATA\r\n");
}

TEST_CASE("a keyword to discard is not seen", "[smtp][client]") {
    auto o = options();
    o.discard = {"pipelining", "dsn", "size"};
    play p(o);
    p.session.begin(message());
    p.run({"220 mx\r\n", full_ehlo});
    CHECK(p.sent == "EHLO client.example\r\nMAIL FROM:<from@client.example>\r\n");
}

TEST_CASE("a server without EHLO is greeted with HELO", "[smtp][client]") {
    play p;
    p.session.begin(message());
    p.run({"220 mx\r\n", "502 5.5.1 what\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n"});
    CHECK(p.sent.starts_with("EHLO client.example\r\nHELO client.example\r\nMAIL FROM:<from@client.example>\r\n"));
    CHECK(p.session.results()[0].verdict == client_verdict::sent);
}

TEST_CASE("each refusal at each stage has its outcome and its words", "[smtp][client]") {
    struct row {
        const char* why;
        std::vector<std::string> replies;
        client_verdict verdict;
        const char* dsn;
        const char* reason;
    };
    const std::string g = "220 mx ESMTP\r\n";
    const std::string e = plain_ehlo;
    const std::string k = "250 ok\r\n";
    const auto soft = client_verdict::soft;
    const auto hard = client_verdict::hard;
    const auto r = GENERATE_COPY(
        row{"greeting 4xx", {"421 4.3.2 busy\r\n"}, soft, "4.3.2",
            "host mx.example[192.0.2.1] refused to talk to me: 421 4.3.2 busy"},
        row{"greeting 5xx counts as temporary", {"554 5.7.1 go away\r\n"}, soft, "4.7.1",
            "host mx.example[192.0.2.1] refused to talk to me: 554 5.7.1 go away"},
        row{"greeting lost", {"DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while receiving the initial server greeting"},
        row{"greeting silence", {"SILENCE"}, soft, "4.4.2",
            "conversation with mx.example[192.0.2.1] timed out while receiving the initial server greeting"},
        row{"EHLO lost", {g, "DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while performing the EHLO handshake"},
        row{"HELO refused", {g, "500 a\r\n", "550 b\r\n"}, hard, "5.0.0",
            "host mx.example[192.0.2.1] refused to talk to me: 550 b"},
        row{"HELO deferred", {g, "500 a\r\n", "450 b\r\n"}, soft, "4.0.0",
            "host mx.example[192.0.2.1] refused to talk to me: 450 b"},
        row{"MAIL 4xx", {g, e, "451 4.3.0 later\r\n"}, soft, "4.3.0",
            "host mx.example[192.0.2.1] said: 451 4.3.0 later (in reply to MAIL FROM command)"},
        row{"MAIL 5xx", {g, e, "550 no\r\n"}, hard, "5.0.0",
            "host mx.example[192.0.2.1] said: 550 no (in reply to MAIL FROM command)"},
        row{"MAIL lost", {g, e, "DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while sending MAIL FROM"},
        row{"RCPT 4xx", {g, e, k, "450 4.2.2 full\r\n"}, soft, "4.2.2",
            "host mx.example[192.0.2.1] said: 450 4.2.2 full (in reply to RCPT TO command)"},
        row{"RCPT 5xx, many lines", {g, e, k, "550-5.1.1 a\r\n550 5.1.1 b\r\n"}, hard, "5.1.1",
            "host mx.example[192.0.2.1] said: 550-5.1.1 a 550 5.1.1 b (in reply to RCPT TO command)"},
        row{"RCPT lost", {g, e, k, "DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while sending RCPT TO"},
        row{"RCPT silence", {g, e, k, "SILENCE"}, soft, "4.4.2",
            "conversation with mx.example[192.0.2.1] timed out while sending RCPT TO"},
        row{"enhanced code of another class is not believed", {g, e, k, "550 4.7.1 x\r\n"}, hard, "5.0.0",
            "host mx.example[192.0.2.1] said: 550 4.7.1 x (in reply to RCPT TO command)"},
        row{"DATA 4xx", {g, e, k, k, "451 later\r\n"}, soft, "4.0.0",
            "host mx.example[192.0.2.1] said: 451 later (in reply to DATA command)"},
        row{"DATA 5xx", {g, e, k, k, "554 5.5.1 no\r\n"}, hard, "5.5.1",
            "host mx.example[192.0.2.1] said: 554 5.5.1 no (in reply to DATA command)"},
        row{"DATA answered 250", {g, e, k, k, k}, soft, "4.5.0",
            "Protocol error: host mx.example[192.0.2.1] said: 250 ok (in reply to DATA command)"},
        row{"DATA lost", {g, e, k, k, "DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while sending DATA command"},
        row{"dot 4xx", {g, e, k, k, "354 x\r\n", "451 4.3.0 disk\r\n"}, soft, "4.3.0",
            "host mx.example[192.0.2.1] said: 451 4.3.0 disk (in reply to end of DATA command)"},
        row{"dot 5xx", {g, e, k, k, "354 x\r\n", "554 5.7.1 spam\r\n"}, hard, "5.7.1",
            "host mx.example[192.0.2.1] said: 554 5.7.1 spam (in reply to end of DATA command)"},
        row{"dot lost", {g, e, k, k, "354 x\r\n", "DROP"}, soft, "4.4.2",
            "lost connection with mx.example[192.0.2.1] while sending end of data -- message may be sent more than "
            "once"},
        row{"dot silence", {g, e, k, k, "354 x\r\n", "SILENCE"}, soft, "4.4.2",
            "conversation with mx.example[192.0.2.1] timed out while sending end of data -- message may be sent more "
            "than once"},
        row{"code only", {g, e, k, "550\r\n"}, hard, "5.0.0",
            "host mx.example[192.0.2.1] said: 550 (in reply to RCPT TO command)"},
        row{"control bytes", {g, e, k, "550 a\x1b[31m\r\n"}, hard, "5.0.0",
            "host mx.example[192.0.2.1] said: 550 a?[31m (in reply to RCPT TO command)"});
    CAPTURE(r.why);
    play p;
    p.session.begin(message());
    p.run(r.replies);
    const auto& result = p.session.results()[0];
    CHECK(result.verdict == r.verdict);
    CHECK(result.dsn == r.dsn);
    CHECK(result.reason == r.reason);
    CHECK_FALSE(p.session.reusable());
}

TEST_CASE("every recipient keeps its own answer", "[smtp][client]") {
    play p;
    p.session.begin(message(4));
    p.run({"220 mx\r\n", full_ehlo, "250 a\r\n250 b\r\n450 4.2.1 c\r\n550 5.1.1 d\r\n250 e\r\n354 f\r\n",
           "452 4.3.1 no room\r\n"});
    const auto& r = p.session.results();
    CHECK(r[0].reason == "host mx.example[192.0.2.1] said: 452 4.3.1 no room (in reply to end of DATA command)");
    CHECK(r[1].dsn == "4.2.1");
    CHECK(r[2].verdict == client_verdict::hard);
    CHECK(r[3].dsn == "4.3.1");
}

TEST_CASE("DATA that was risked and taken without recipients is ended with nothing", "[smtp][client]") {
    play p;
    p.session.begin(message(2));
    p.run({"220 mx\r\n", full_ehlo, "250 a\r\n550 b\r\n550 c\r\n354 d\r\n"});
    CHECK(p.sent.ends_with("DATA\r\n.\r\nQUIT\r\n"));
    CHECK(p.session.results()[0].verdict == client_verdict::hard);
    CHECK(p.session.results()[1].verdict == client_verdict::hard);
}

TEST_CASE("a session is used again after success, and after RSET when nobody was accepted", "[smtp][client]") {
    play p;
    p.session.begin(message(1, false));
    p.run({"220 mx\r\n", full_ehlo, "250 a\r\n250 b\r\n354 c\r\n", "250 d\r\n"});
    CHECK(p.session.results()[0].verdict == client_verdict::sent);
    REQUIRE(p.session.reusable());
    p.session.begin(message(1, false));
    p.run({"250 a\r\n550 b\r\n503 c\r\n", "250 reset\r\n"});
    CHECK(p.sent.ends_with("RSET\r\n"));
    CHECK(p.session.results()[0].verdict == client_verdict::hard);
    REQUIRE(p.session.reusable());
    p.sent.clear();
    p.session.begin(message(1, true));
    p.run({"250 a\r\n250 b\r\n354 c\r\n", "250 e\r\n"});
    CHECK(p.sent.ends_with(".\r\nQUIT\r\n"));
    CHECK(p.session.transactions() == 3);
    CHECK_FALSE(p.session.reusable());
}

TEST_CASE("a server with surplus to say is not used again", "[smtp][client]") {
    play p;
    p.session.begin(message(1, false));
    p.run({"220 mx\r\n", plain_ehlo, "250 a\r\n", "250 b\r\n", "354 c\r\n", "250 d\r\n250 surplus\r\n"});
    CHECK(p.session.results()[0].verdict == client_verdict::sent);
    CHECK_FALSE(p.session.reusable());
}

TEST_CASE("success before the end of data is no success", "[smtp][client]") {
    play p;
    p.session.begin(message());
    p.run({"220 mx\r\n", plain_ehlo, "250 a\r\n", "250 b\r\n", "354 c\r\n250 early\r\n"});
    CHECK(p.session.results()[0].verdict == client_verdict::soft);
    CHECK(p.session.wants() == client_need::closed);
    CHECK(p.sent.find("Subject") == std::string::npos);
}

TEST_CASE("garbage ends the conversation and defers", "[smtp][client]") {
    const std::string garbage = GENERATE(as<std::string>{}, "HTTP/1.1 400 Bad Request\r\n", "\x16\x03\x01\r\n",
                                         "250-a\r\n550 b\r\n", "25\r\n", "999 x\r\n", "\r\n");
    CAPTURE(garbage);
    for (std::size_t stage = 0; stage < 6; ++stage) {
        std::vector<std::string> replies = {"220 mx\r\n", plain_ehlo, "250 a\r\n", "250 b\r\n", "354 c\r\n"};
        replies.resize(stage);
        replies.push_back(garbage);
        play p;
        p.session.begin(message());
        p.run(replies);
        CHECK(p.session.results()[0].verdict == client_verdict::soft);
        CHECK(p.session.wants() == client_need::closed);
        CHECK(p.session.take_warnings().size() == 1);
    }
}

TEST_CASE("a reply of a hundred thousand lines stays bounded", "[smtp][client]") {
    play p;
    p.session.begin(message());
    p.run({"220 mx\r\n", plain_ehlo, "250 a\r\n"});
    for (int i = 0; i < 100000 && p.session.wants() == client_need::reply; ++i)
        p.session.on_bytes("550-5.1.1 line after line after line\r\n");
    p.session.on_bytes("550 5.1.1 end\r\n");
    CHECK(p.session.results()[0].verdict != client_verdict::sent);
    CHECK(p.session.results()[0].reason.size() < 300000);
}

TEST_CASE("replies may arrive a byte at a time", "[smtp][client]") {
    play p;
    p.session.begin(message());
    std::vector<std::string> bytes;
    for (const std::string& reply : {std::string("220 mx\r\n"), full_ehlo, std::string("250 a\r\n250 b\r\n354 c\r\n"),
                                     std::string("250 d\r\n")})
        for (const char c : reply)
            bytes.emplace_back(1, c);
    p.run(bytes);
    CHECK(p.session.results()[0].verdict == client_verdict::sent);
}

TEST_CASE("a message over the server's size limit is not offered", "[smtp][client]") {
    play p;
    auto work = message();
    work.size = 1001;
    p.session.begin(work);
    p.run({"220 mx\r\n", full_ehlo});
    CHECK(p.session.results()[0].verdict == client_verdict::hard);
    CHECK(p.session.results()[0].dsn == "5.3.4");
    CHECK(p.session.results()[0].reason ==
          "message size 1001 exceeds size limit 1000 of server mx.example[192.0.2.1]");
    CHECK(p.sent == "EHLO client.example\r\n");
}

TEST_CASE("an address with a line end never reaches the wire", "[smtp][client]") {
    play p;
    auto work = message();
    work.recipients[0].address = "a\r\nRCPT TO:<b@example>\r\n@example";
    p.session.begin(work);
    p.run({"220 mx\r\n", full_ehlo});
    CHECK(p.session.results()[0].verdict == client_verdict::hard);
    CHECK(p.sent == "EHLO client.example\r\n");
}

TEST_CASE("a server that bears our own name is a loop", "[smtp][client]") {
    auto o = options();
    o.my_hostname = "mx.example";
    play p(o);
    p.session.begin(message());
    p.run({"220 mx.example ESMTP\r\n", full_ehlo});
    CHECK(p.session.failure().hard);
    CHECK(p.session.results()[0].dsn == "5.4.6");
    CHECK(p.session.results()[0].reason == "mail for example loops back to myself");
}

TEST_CASE("a thousand recipients go in bounded groups", "[smtp][client]") {
    client_session session(options());
    session.begin(message(1000));
    session.on_bytes("220 mx\r\n");
    (void)session.take_output();
    session.on_bytes(full_ehlo);
    std::size_t commands = 0;
    while (session.wants() == client_need::reply) {
        const auto out = session.take_output();
        REQUIRE_FALSE(out.empty());
        CHECK(out.size() < 9000);
        for (std::size_t at = 0; (at = out.find("\r\n", at)) != std::string::npos; at += 2) {
            ++commands;
            session.on_bytes(commands == 1002 ? "354 go\r\n" : "250 ok\r\n");
        }
    }
    CHECK(commands == 1002);
    CHECK(session.wants() == client_need::content);
}

TEST_CASE("a probe asks about recipients and sends no message", "[smtp][client]") {
    const bool pipelining = GENERATE(true, false);
    play p;
    auto probe = message(3);
    probe.probe = true;
    p.session.begin(std::move(probe));
    const std::string mail = "250 2.1.0 Ok\r\n", taken = "250 2.1.5 Ok\r\n", refused = "550 5.1.1 nobody\r\n",
                      later = "451 4.2.0 later\r\n";
    if (pipelining)
        p.run({"220 mx\r\n", full_ehlo, mail + taken + refused + later});
    else
        p.run({"220 mx\r\n", plain_ehlo, mail, taken, refused, later});
    CHECK(p.sent.find("DATA") == std::string::npos);
    CHECK(p.sent.ends_with("QUIT\r\n"));
    REQUIRE(p.session.results().size() == 3);
    CHECK((p.session.results()[0].verdict == client_verdict::sent && p.session.results()[0].dsn == "2.1.5"));
    CHECK(p.session.results()[0].reason == "250 2.1.5 Ok");
    CHECK((p.session.results()[1].verdict == client_verdict::hard && p.session.results()[1].dsn == "5.1.1"));
    CHECK((p.session.results()[2].verdict == client_verdict::soft && p.session.results()[2].dsn == "4.2.0"));
}

TEST_CASE("replies that come before their commands are believed by nobody", "[smtp][client]") {
    const std::string g = "220 mx ESMTP\r\n", k = "250 ok\r\n", no = "550 5.1.1 no\r\n", go = "354 go\r\n";
    const auto replies = GENERATE_COPY(as<std::vector<std::string>>(),
                                       std::vector<std::string>{g + k + k + k + go + k},
                                       std::vector<std::string>{g + k + k + no + no},
                                       // cut anywhere: the rest of a reply that began too early is too early
                                       std::vector<std::string>{g + "25", "0 ok\r\n", k, k, go, k},
                                       std::vector<std::string>{g, plain_ehlo + no, k, k, go, k},
                                       std::vector<std::string>{g, plain_ehlo, k, k + k + go, k},
                                       std::vector<std::string>{g, plain_ehlo, k, k, k, go + k},
                                       std::vector<std::string>{g, plain_ehlo, k, k, k, go + no});
    play p;
    p.session.begin(message(2));
    p.run(replies);
    REQUIRE(p.session.results().size() == 2);
    for (const auto& result : p.session.results()) {
        CHECK(result.verdict == client_verdict::soft);
        CHECK(result.dsn == "4.5.0");
    }
    CHECK_FALSE(p.session.reusable());
}

TEST_CASE("a server may close with 421 before it is asked again", "[smtp][client]") {
    play p;
    p.session.begin(message());
    p.run({"220 mx ESMTP\r\n", plain_ehlo, "250 ok\r\n421 4.3.2 closing\r\n"});
    CHECK(p.session.results()[0].verdict == client_verdict::soft);
    CHECK(p.session.results()[0].dsn == "4.3.2");
}
