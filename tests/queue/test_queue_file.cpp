#include "temporary_spool.hpp"

#include <fcntl.h>

#include <mta/queue/errc.hpp>
#include <mta/queue/queue_file.hpp>

using namespace mta;
using namespace mta::queue;
using namespace std::string_literals;

namespace {

const std::string id = "39AAFA90117";

result<envelope> read(const test::temporary_spool& at, const std::string& bytes, envelope_options options = {}) {
    at.put(directory::active, id, bytes);
    auto file = queue_file::open(at.spool, directory::active, id);
    REQUIRE(file);
    return file->read_envelope(options);
}

// The text with "\n" for each line end.
result<std::string> text_of(queue_file& file) {
    std::string out;
    std::string_view line;
    bool unterminated = false;
    for (;;) {
        auto more = file.next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            return out;
        out.append(line).append(unterminated ? "" : "\n");
    }
}

long long record_bytes(queue_file& file) {
    REQUIRE(file.start_content());
    std::size_t total = 0;
    std::string_view line;
    bool unterminated = false;
    for (auto more = file.next_line(line, unterminated); more && *more; more = file.next_line(line, unterminated))
        total += record_size(line.size());
    return static_cast<long long>(total);
}

std::string r(char type, std::string_view data = {}) {
    std::string out;
    append_record(out, static_cast<record_type>(type), data);
    return out;
}

const std::string head = r('T', "1795226788 5") + r('S', "s@example.test");
const std::string tail = r('M') + r('N', "text") + r('X') + r('E');

} // namespace

TEST_CASE("the reference's files are read whole", "[queue][file]") {
    struct row {
        const char* name;
        const char* sender;
        std::size_t recipients;
        const char* first;
    };
    const auto [name, sender, recipients, first] = GENERATE(
        row{"sendmail", "me@example.test", 2, "bob@hold.test"},
        row{"sendmail_dsn_extracted", "sender@example.test", 3, "x@far.test"},
        row{"null_sender_long_line", "", 1, "nobody@far.test"}, row{"verp", "owner@example.test", 2, "a@far.test"},
        row{"sixty_recipients", "owner@example.test", 60, "r1@far.test"},
        row{"smtp_dsn", "smtp.sender@example.test", 2, "one@far.test"},
        row{"milter_edited", "newsender@example.test", 2, "one@far.test"}, row{"bounce", "", 1, "bounce.to@far.test"},
        row{"maildrop", "me@example.test", 1, "x@far.test"}, row{"long_id", "me@example.test", 1, "x@far.test"});
    CAPTURE(name);
    const test::temporary_spool at;
    at.put(directory::active, id, test::golden(name));
    auto file = queue_file::open(at.spool, directory::active, id);
    REQUIRE(file);
    const auto read = file->read_envelope();
    REQUIRE(read);
    CHECK(read->sender == sender);
    REQUIRE(read->recipients.size() == recipients);
    CHECK(read->recipients[0].address == first);
    REQUIRE(file->start_content(read->data_offset));
    const auto by_offset = text_of(*file);
    REQUIRE(by_offset);
    REQUIRE(file->start_content());
    CHECK(*text_of(*file) == *by_offset);
    // The message size that the reference noted is that of the text's records (padding counts differently).
    if (read->size && name != std::string_view("milter_edited"))
        CHECK(record_bytes(*file) == read->size->content_length);
}

TEST_CASE("what stands ahead of a recipient belongs to it alone", "[queue][file]") {
    const test::temporary_spool at;
    const auto found = read(at, test::golden("smtp_dsn"));
    REQUIRE(found);
    CHECK(found->dsn_envid == "abc");
    CHECK(found->dsn_ret == ret_full);
    CHECK(found->encoding == "8bit");
    CHECK(found->attribute("log_helo_name") == "client.example.test");
    CHECK(found->recipients[0].notify == (notify_success | notify_delay));
    CHECK(found->recipients[1].address == "two words@hold.test");
    CHECK(found->recipients[1].dsn_original == "rfc822;\"two words\"@hold.test");
    const auto plain = read(at, head + r('A', "notify_flags=1") + r('O', "o") + r('R', "a") + r('R', "b") + tail);
    REQUIRE(plain);
    CHECK(plain->recipients[0].notify == notify_never);
    CHECK((plain->recipients[1].notify == 0 && plain->recipients[1].original.empty()));
}

TEST_CASE("a file cut anywhere is damage and never a message", "[queue][file]") {
    const auto bytes = test::golden(GENERATE("sendmail", "sendmail_dsn_extracted", "milter_edited", "maildrop"));
    const test::temporary_spool at;
    const bool edited = bytes.find("replaced body") != std::string::npos;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CAPTURE(length);
        const auto found = read(at, bytes.substr(0, length));
        if (edited && found)
            continue; // the logical end of an edited file stands before its heap, which may lose its own tail
        REQUIRE(!found);
        CHECK(is_damage(found.error().code));
    }
}

TEST_CASE("each kind of damage has its name", "[queue][file]") {
    struct row {
        std::string bytes;
        queue::errc code;
    };
    const auto [bytes, code] = GENERATE(
        row{"", queue::errc::missing_end}, row{"hello", queue::errc::truncated_record},
        row{r('N', "text"), queue::errc::not_a_queue_file}, row{r('T', "x") + tail, queue::errc::bad_time},
        row{r('T', "5 1000000") + tail, queue::errc::bad_time}, row{r('T', "0 0") + tail, queue::errc::bad_time},
        row{r('S', "s") + tail, queue::errc::no_arrival_time}, row{r('T', "5 6") + tail, queue::errc::no_sender},
        row{head + r('S', "t") + tail, queue::errc::second_sender},
        row{r('T', "5 6") + r('R', "r") + tail, queue::errc::early_recipient},
        row{head + r('A', "noequals") + tail, queue::errc::bad_attribute},
        row{r('C', "1 2") + head + tail, queue::errc::bad_size_record},
        row{head + r('N', "text too early") + tail, queue::errc::unexpected_record},
        row{head + r('M') + r('R', "in the text") + r('X') + r('E'), queue::errc::unexpected_record},
        row{head + r('M') + r('N', "a") + r('X'), queue::errc::missing_end},
        row{head + r('M') + r('N', "a") + r('E'), queue::errc::unexpected_record},
        row{head + r('X') + r('E'), queue::errc::unexpected_record},
        row{head + r('p', "               ") + tail, queue::errc::bad_pointer},
        row{head + r('p', "         999999") + tail, queue::errc::bad_pointer},
        row{head + r('p', "              1") + tail, queue::errc::bad_length});
    CAPTURE(bytes);
    const test::temporary_spool at;
    const auto found = read(at, bytes);
    if (code == queue::errc::bad_length) { // garbage after a jump into data: any damage will do
        REQUIRE(!found);
        CHECK(is_damage(found.error().code));
        return;
    }
    REQUIRE(!found);
    CHECK(found.error().code == code);
    CHECK(is_damage(found.error().code));
}

TEST_CASE("a size record that lies does no harm", "[queue][file]") {
    const std::string fields = GENERATE("9999999 97 1", "1 1 1", "0 0 0", "-1 -1 -1 -1 -1 0", "4 131 1 0 4 0");
    const test::temporary_spool at;
    auto file = r('C', fields) + head + r('R', "r@example.test") + tail;
    const auto found = read(at, file);
    REQUIRE(found);
    CHECK(found->recipients.size() == 1);
    CHECK(found->content_end > found->data_offset);
}

TEST_CASE("marking a recipient changes one byte, and only of a recipient", "[queue][file]") {
    const test::temporary_spool at;
    const auto bytes = test::golden("sendmail");
    at.put(directory::active, id, bytes);
    auto file = queue_file::open(at.spool, directory::active, id);
    REQUIRE(file);
    const auto before = file->read_envelope();
    REQUIRE(before);
    REQUIRE(file->mark_done(before->recipients[0].offset));
    REQUIRE(file->mark_done(before->recipients[0].offset));
    CHECK(file->mark_done(0).error().code == queue::errc::not_a_recipient);
    CHECK(file->mark_done(-5).error().code == queue::errc::not_a_recipient);
    CHECK(file->mark_done(1000000).error().code == queue::errc::not_a_recipient);
    auto expected = bytes;
    expected[static_cast<std::size_t>(before->recipients[0].offset)] = 'D';
    CHECK(test::slurp(at.spool.path(directory::active, id)) == expected);
    const auto after = queue_file::open(at.spool, directory::active, id)->read_envelope();
    REQUIRE(after);
    CHECK(after->recipients.size() == 1);
    CHECK(after->done_recipients == 1);
}

TEST_CASE("the recipient limit leaves the rest for later", "[queue][file]") {
    const test::temporary_spool at;
    envelope_options options;
    options.recipient_limit = 7;
    const auto found = read(at, test::golden("sixty_recipients"), options);
    REQUIRE(found);
    CHECK(found->recipients.size() == 7);
    CHECK(found->more_recipients);
    CHECK(found->content_end > 0);
}

TEST_CASE("locks are shared among deliveries and exclude the queue manager", "[queue][file]") {
    const test::temporary_spool at;
    at.put(directory::active, id, test::golden("sendmail"));
    auto first = queue_file::open(at.spool, directory::active, id);
    auto second = queue_file::open(at.spool, directory::active, id);
    auto third = queue_file::open(at.spool, directory::active, id);
    REQUIRE((first && second && third));
    CHECK(*first->try_lock(lock_mode::shared));
    CHECK(*second->try_lock(lock_mode::shared));
    CHECK(!*third->try_lock(lock_mode::exclusive));
}

TEST_CASE("the warning time and the trace flags are changed in place", "[queue][file]") {
    const test::temporary_spool at;
    std::string bytes = head + r('W', "     1795254517") + r('A', "trace_flags=1024") + r('R', "r") + tail;
    at.put(directory::active, id, bytes);
    auto file = queue_file::open(at.spool, directory::active, id);
    REQUIRE(file);
    const auto before = file->read_envelope();
    REQUIRE(before);
    CHECK(before->warn_time == 1795254517);
    CHECK(before->trace_flags == trace_record);
    REQUIRE(set_warn_time(file->fd(), before->warn_offset, 0));
    REQUIRE(kill_record(file->fd(), before->trace_flags_offset));
    const auto after = queue_file::open(at.spool, directory::active, id)->read_envelope();
    REQUIRE(after);
    CHECK((after->warn_time == 0 && after->trace_flags == 0 && after->recipients.size() == 1));
}
