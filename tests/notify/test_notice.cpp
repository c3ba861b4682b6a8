#include "temporary_spool.hpp"

#include <mta/notify/notice.hpp>

using namespace mta;
using namespace mta::notify;

namespace {

settings sample_settings() {
    settings with;
    with.myhostname = "mail.example.test";
    with.myorigin = "example.test";
    return with;
}

queue::log_entry failed(const std::string& to, const std::string& reason) {
    queue::log_entry entry;
    entry.recipient = to;
    entry.status = "5.1.1";
    entry.action = "failed";
    entry.reason = reason;
    return entry;
}

struct composed {
    std::string text;
    notice_envelope envelope;
};

composed compose_from(const std::string& file, notify::kind kind, std::vector<queue::log_entry> entries,
                      const settings& with = sample_settings()) {
    const test::temporary_spool at;
    at.put(queue::directory::active, "A35E4A723AF", test::golden(file));
    auto original = queue::queue_file::open(at.spool, queue::directory::active, "A35E4A723AF");
    REQUIRE(original);
    const auto envelope = original->read_envelope();
    REQUIRE(envelope);
    request about;
    about.kind = kind;
    about.queue_id = "A35E4A723AF";
    about.envelope = &*envelope;
    about.entries = entries;
    about.original = &*original;
    about.now = {1795240117, 42};
    composed out;
    out.envelope = envelope_of(about, with);
    REQUIRE(compose(about, with, [&](std::string_view line, bool unterminated) -> result<void> {
        CHECK(line.size() <= 2048);
        out.text.append(line).append(unterminated ? "" : "\n");
        return {};
    }));
    return out;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a bounce has the reference's structure", "[notify]") {
    const auto notice = compose_from("smtp_dsn", kind::failure, {failed("one@far.test", "unknown user: \"one\"")});
    CHECK((notice.envelope.sender.empty() && notice.envelope.recipient == "smtp.sender@example.test"));
    for (const char* part :
         {"\nFrom: Mail Delivery System <MAILER-DAEMON@example.test>\nSubject: Undelivered Mail Returned to Sender\n"
          "To: smtp.sender@example.test\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
          "Content-Type: multipart/report; report-type=delivery-status;\n"
          "\tboundary=\"A35E4A723AF.1795240117000042/mail.example.test\"\n",
          "\n<one@far.test>: unknown user: \"one\"\n",
          "Content-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
          "Reporting-MTA: dns; mail.example.test\nOriginal-Envelope-Id: abc\nX-Postfix-Queue-ID: A35E4A723AF\n"
          "X-Postfix-Sender: rfc822; smtp.sender@example.test\nArrival-Date: ",
          "\n\nFinal-Recipient: rfc822; one@far.test\nAction: failed\nStatus: 5.1.1\n"
          "Diagnostic-Code: X-Postfix; unknown user: \"one\"\n",
          "Content-Description: Undelivered Message\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
          "Return-Path: <smtp.sender@example.test>\nReceived: from",
          "\n.leading dot\nlast\n\n--A35E4A723AF.1795240117000042/mail.example.test--\n"}) {
        CAPTURE(part);
        CHECK(has(notice.text, part));
    }
}

TEST_CASE("RET=HDRS and the size limit leave out the body", "[notify]") {
    auto with = sample_settings();
    const bool by_size = GENERATE(true, false);
    if (by_size)
        with.bounce_size_limit = 100;
    const auto notice = compose_from(by_size ? "sendmail" : "sendmail_dsn_extracted", kind::failure,
                                     {failed("x@far.test", "no")}, with);
    CHECK(has(notice.text, "Content-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n"));
    CHECK(has(notice.text, "\nSubject: "));
    CHECK(!has(notice.text, "body 8bit"));
    CHECK(!has(notice.text, "Second line."));
}

TEST_CASE("a delay warning says until when", "[notify]") {
    auto entry = failed("one@far.test", "connect to far.test[192.0.2.1]:25: Connection refused");
    entry.action = "delayed";
    entry.status = "4.4.1";
    const auto notice = compose_from("smtp_dsn", kind::delay, {entry});
    CHECK(has(notice.text, "\nSubject: Delayed Mail (still being retried)\n"));
    CHECK(has(notice.text, "\nAction: delayed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; connect to "
                           "far.test[192.0.2.1]:25: Connection\n    refused\nWill-Retry-Until: Thu, 26 Nov 2026"));
    CHECK(has(notice.text, "text/rfc822-headers"));
}

TEST_CASE("a remote reply is quoted, folded and masked", "[notify]") {
    auto entry = failed("one@far.test", "host mx[192.0.2.1] said: 550 no \x1b[1m\nSubject: forged");
    entry.mta_type = "dns";
    entry.mta_name = "mx.far.test";
    entry.diag_type = "smtp";
    entry.diag_text = "550 " + std::string(5000, 'x') + "\r\n\r\n--boundary";
    const auto notice = compose_from("smtp_dsn", kind::failure, {entry});
    CHECK(has(notice.text, "Remote-MTA: dns; mx.far.test\nDiagnostic-Code: smtp; 550"));
    CHECK(!has(notice.text, "\nSubject: forged"));
    CHECK(!has(notice.text, "\n--boundary\n"));
    CHECK(!has(notice.text, "\x1b"));
    for (std::size_t at = 0; at < notice.text.size();) {
        const auto end = notice.text.find('\n', at);
        CHECK(end - at <= 998);
        at = end + 1;
    }
}

TEST_CASE("who is told: the sender, the postmaster, nobody", "[notify]") {
    const auto with = sample_settings();
    CHECK(failure_destination("a@b", with) == destination::sender);
    CHECK(failure_destination("", with) == destination::postmaster);
    CHECK(failure_destination("double-bounce@mail.example.test", with) == destination::nobody);
    CHECK(failure_destination("Double-Bounce@MAIL.example.test", with) == destination::nobody);
    CHECK(failure_destination("double-bounce@elsewhere.test", with) == destination::sender);
    const auto notice = compose_from("bounce", kind::double_bounce, {failed("bounce.to@far.test", "no")});
    CHECK((notice.envelope.sender == "double-bounce@mail.example.test" && notice.envelope.recipient == "postmaster"));
    CHECK(has(notice.text, "\nSubject: Postmaster Copy: Undelivered Mail\n"));
    CHECK(has(notice.text, "\nAuto-Submitted: auto-generated\n"));
    CHECK(has(notice.text, "\nX-Postfix-Sender: rfc822; MAILER-DAEMON@mail.example.test\n"));
}

TEST_CASE("NOTIFY decides which recipients a notice is about", "[notify]") {
    std::vector<queue::log_entry> entries;
    for (const int notify : {0, 1, 2, 4, 8, 14}) {
        entries.push_back(failed("r" + std::to_string(notify) + "@x", "no"));
        entries.back().notify = notify;
    }
    const auto count = [&](notify::kind kind) { return entries_for(kind, entries).size(); };
    CHECK(count(kind::failure) == 3);
    CHECK(count(kind::delay) == 3);
    CHECK(count(kind::success) == 2);
    CHECK(count(kind::probe) == 6);
}

TEST_CASE("the sink's error ends the work, an unreadable original does not", "[notify]") {
    queue::envelope envelope;
    envelope.sender = "s@example.test";
    envelope.arrival = {1795240000, 0};
    const std::vector<queue::log_entry> entries = {failed("r@x", "no")};
    request about;
    about.queue_id = "A1";
    about.envelope = &envelope;
    about.entries = entries;
    about.now = {1795240117, 0};
    int lines = 0;
    auto stopped = compose(about, sample_settings(), [&](std::string_view, bool) -> result<void> {
        if (++lines == 3)
            return fail(errc::temporary, "disk full");
        return {};
    });
    REQUIRE(!stopped);
    CHECK((stopped.error().detail == "disk full" && lines == 3));
    std::string text;
    REQUIRE(compose(about, sample_settings(), [&](std::string_view line, bool) -> result<void> {
        text.append(line).append("\n");
        return {};
    }));
    CHECK(has(text, "could not be read"));
    CHECK(text.ends_with("--\n"));
}
