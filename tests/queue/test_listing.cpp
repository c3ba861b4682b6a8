#include "temporary_spool.hpp"

#include <mta/queue/errc.hpp>
#include <mta/queue/listing.hpp>
#include <mta/queue/message_log.hpp>

using namespace mta;
using namespace mta::queue;
using namespace std::string_literals;

namespace {

std::vector<listed_message> list(const spool& where, std::vector<std::string>& warnings) {
    std::vector<listed_message> seen;
    listing_options options;
    options.warn = [&](std::string_view text) { warnings.emplace_back(text); };
    REQUIRE(list_queue(where, options, [&](const listed_message& message) {
        seen.push_back(message);
        return scan_step::go_on;
    }));
    return seen;
}

} // namespace

TEST_CASE("complete messages are listed with their reasons, logged recipients first", "[queue][listing]") {
    const test::temporary_spool at;
    at.put(directory::deferred, "1F4B6A72449", test::golden("smtp_dsn"), 0710);
    at.put(directory::incoming, "AAAAAA72449", test::golden("sendmail"), 0600); // still being written
    at.put(directory::hold, "39AAFA90117", test::golden("null_sender_long_line"));
    at.put(directory::active, "39AAFA90118", "garbage");
    at.put(directory::maildrop, "39AAFA90119", test::golden("maildrop"), 0744);
    log_entry entry;
    entry.recipient = "\"two words\"@hold.test";
    entry.reason = "try later";
    const log_entry entries[] = {entry};
    REQUIRE(append_log(at.spool, directory::defer, "1F4B6A72449", entries));
    std::vector<std::string> warnings;
    const auto seen = list(at.spool, warnings);
    REQUIRE(seen.size() == 3);
    CHECK(warnings.size() == 1);
    CHECK((seen[0].queue_name == "maildrop" && seen[0].size == 151 && !seen[0].forced_expire));
    CHECK((seen[1].queue_name == "deferred" && seen[1].size == 344 && seen[1].forced_expire));
    CHECK((seen[1].sender == "smtp.sender@example.test" && seen[1].arrival == 1795240023));
    REQUIRE(seen[1].recipients.size() == 2);
    CHECK((seen[1].recipients[0].address == "\"two words\"@hold.test" && seen[1].recipients[0].reason == "try later"));
    CHECK((seen[1].recipients[1].address == "one@far.test" && seen[1].recipients[1].reason.empty()));
    CHECK((seen[2].queue_name == "hold" && seen[2].sender == "MAILER-DAEMON"));
}

TEST_CASE("the showq protocol comes back however the bytes are cut", "[queue][listing]") {
    listed_message message;
    message.queue_name = "deferred";
    message.queue_id = "1F4B6A72449";
    message.arrival = 1795240023;
    message.size = 344;
    message.forced_expire = true;
    message.sender = "a@b";
    message.recipients = {{"x@y", "why"}, {"z@y", ""}};
    const auto bytes = showq_greeting() + showq_message(message) + showq_message(message) + showq_end();
    const auto piece = GENERATE(std::size_t(1), std::size_t(7), std::size_t(100000));
    showq_parser parser;
    int count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        CHECK(!parser.finished());
        parser.feed(std::string_view(bytes).substr(at, piece));
        for (auto read = parser.next(); read && *read; read = parser.next()) {
            ++count;
            CHECK(((*read)->queue_id == "1F4B6A72449" && (*read)->recipients.size() == 2));
            CHECK(((*read)->recipients[0].reason == "why" && (*read)->recipients[1].reason.empty()));
            CHECK(((*read)->forced_expire && (*read)->size == 344));
        }
    }
    CHECK(count == 2);
    CHECK(parser.finished());
}

TEST_CASE("a newer server's attributes are understood, another protocol is refused", "[queue][listing]") {
    showq_parser newer;
    newer.feed(showq_greeting() + "queue_name\0hold\0queue_id\0A1\0time\0""5\0size\0""6\0sender\0s\0"
                                  "original_recipient\0o\0recipient\0r\0log_class\0defer\0reason\0why\0\0\0"s);
    const auto read = newer.next();
    REQUIRE((read && *read));
    CHECK(((*read)->recipients.size() == 1 && (*read)->recipients[0].reason == "why"));
    const auto bytes = GENERATE("protocol\0other\0\0"s, "\0"s, showq_greeting() + "time\0x\0\0"s,
                                showq_greeting() + "a\0b\0\0"s);
    showq_parser bad;
    bad.feed(bytes);
    const auto refused = bad.next();
    REQUIRE(!refused);
    CHECK(refused.error().code == queue::errc::bad_listing);
}
