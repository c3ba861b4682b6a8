#include "temporary_spool.hpp"

#include <mta/queue/message_log.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

log_entry sample() {
    log_entry entry;
    entry.recipient = "temp@far.test";
    entry.offset = 275;
    entry.dsn_original = "rfc822;temp@far.test";
    entry.notify = 14;
    entry.status = "4.2.2";
    entry.action = "delayed";
    entry.diag_type = "smtp";
    entry.diag_text = "450 4.2.2 mailbox full <x>";
    entry.mta_type = "dns";
    entry.mta_name = "127.0.0.1";
    entry.reason = "host 127.0.0.1[127.0.0.1] said: 450 4.2.2 mailbox full <x> (in reply to RCPT TO command)";
    return entry;
}

} // namespace

TEST_CASE("a paragraph has the reference's bytes", "[queue][log]") {
    CHECK(format_log_entry(sample()) ==
          "\n<temp@far.test>: host 127.0.0.1[127.0.0.1] said: 450 4.2.2 mailbox full <x> (in reply to RCPT TO command)\n"
          "recipient=temp@far.test\noffset=275\ndsn_orig_rcpt=rfc822;temp@far.test\nnotify_flags=14\nstatus=4.2.2\n"
          "action=delayed\ndiag_type=smtp\ndiag_text=450 4.2.2 mailbox full <x>\nmta_type=dns\nmta_mname=127.0.0.1\n"
          "reason=host 127.0.0.1[127.0.0.1] said: 450 4.2.2 mailbox full <x> (in reply to RCPT TO command)\n\n");
}

TEST_CASE("the reference's logs are read and written back to the byte", "[queue][log]") {
    const auto text = test::golden(GENERATE("sixty_recipients.defer", "smtp_dsn.defer"));
    const auto entries = parse_log(text, directory::defer);
    CHECK(entries.size() == (text.size() > 10000 ? 60 : 2));
    std::string again;
    for (const auto& entry : entries)
        again += format_log_entry(entry);
    CHECK(again == text);
}

TEST_CASE("logs are appended to and read in order", "[queue][log]") {
    const test::temporary_spool at;
    auto other = sample();
    other.recipient = "two words@far.test";
    other.notify = 0;
    const log_entry first[] = {sample()};
    const log_entry more[] = {other, sample()};
    REQUIRE(append_log(at.spool, directory::defer, "39AAFA90117", first));
    REQUIRE(append_log(at.spool, directory::defer, "39AAFA90117", more, durability::buffered, log_style::plain));
    const auto read = read_log(at.spool, directory::defer, "39AAFA90117");
    REQUIRE(read);
    REQUIRE(read->size() == 3);
    CHECK((*read)[1].recipient == "two words@far.test");
    CHECK((*read)[2].diag_text == sample().diag_text);
    CHECK(read_log(at.spool, directory::bounce, "39AAFA90117")->empty());
}

TEST_CASE("text from outside cannot forge a line of a log", "[queue][log]") {
    auto entry = sample();
    entry.reason = "evil\nrecipient=other@x\n\n<a>: b\x1b[31m \xff";
    const auto read = parse_log(format_log_entry(entry), directory::bounce);
    REQUIRE(read.size() == 1);
    CHECK(read[0].recipient == "temp@far.test");
    CHECK(read[0].reason == "evil?recipient=other@x?" "?<a>: b?[31m ?");
}

TEST_CASE("control characters that a log holds are masked when it is read", "[queue][log]") {
    const auto entries = parse_log("\n<a\x1b[31m@b>: old \x07\n\n\nrecipient=c@d\x7f\nreason=x\x1b]0;y \xff \xc3\xa9\nstatus=4.0.0\n\n",
                                   directory::defer);
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].recipient == "a?[31m@b");
    CHECK(entries[0].reason == "old ?");
    CHECK(entries[1].recipient == "c@d?");
    CHECK(entries[1].reason == "x?]0;y ? \xc3\xa9");
}

TEST_CASE("an old or damaged log still yields what it can", "[queue][log]") {
    const auto old = parse_log("\n<a@b>: no such user: x\n\nnonsense\nstatus=5.9.9\nunknown=1\n\n\n", directory::bounce);
    REQUIRE(old.size() == 2);
    CHECK((old[0].recipient == "a@b" && old[0].reason == "no such user: x"));
    CHECK((old[0].status == "5.0.0" && old[0].action == "failed"));
    CHECK(old[1].status == "5.9.9");
    CHECK(parse_log("<a@b>: later", directory::defer)[0].action == "delayed");
    const auto text = test::golden("smtp_dsn.defer");
    for (std::size_t length = 0; length < text.size(); ++length)
        CHECK(parse_log(text.substr(0, length), directory::defer).size() <= 2);
}
