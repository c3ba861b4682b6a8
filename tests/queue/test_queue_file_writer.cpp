#include "temporary_spool.hpp"

#include <sys/resource.h>

#include <csignal>

#include <mta/queue/queue_file.hpp>
#include <mta/queue/queue_file_writer.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

void fill(queue_file_writer& out, std::size_t lines) {
    out.put_size_placeholder();
    out.put_time(out.created());
    out.put_attribute("encoding", "8bit");
    out.put(record_type::sender, "s@example.test");
    out.put(record_type::recipient, "r@example.test");
    out.put(record_type::message, {});
    size_record size;
    size.data_offset = out.tell();
    for (std::size_t i = 0; i < lines; ++i)
        out.put_line("line " + std::to_string(i), false, 2048);
    size.content_size = out.tell() - size.data_offset;
    size.recipients = 1;
    out.put(record_type::extracted, {});
    REQUIRE(out.set_size(size));
}

bool is_empty(const spool& where, directory which) {
    bool empty = true;
    REQUIRE(scan(where, which, [&](const scan_entry&) {
        empty = false;
        return scan_step::stop;
    }));
    return empty;
}

} // namespace

TEST_CASE("a committed file is complete and reads back", "[queue][writer]") {
    const auto lines = GENERATE(std::size_t(0), std::size_t(3), std::size_t(50000));
    const auto form = GENERATE(id_form::short_id, id_form::long_id);
    spool_options options;
    options.ids = form;
    const test::temporary_spool at(options);
    std::string id;
    {
        auto out = queue_file_writer::create(at.spool, directory::incoming);
        REQUIRE(out);
        id = out->id();
        fill(*out, lines);
        CHECK(!is_complete((*at.spool.status(directory::incoming, id))->st_mode));
        REQUIRE(out->commit_mark());
        REQUIRE(out->sync());
    }
    auto file = queue_file::open(at.spool, directory::incoming, id);
    REQUIRE(file);
    CHECK((file->status().st_mode & 0777U) == 0700);
    const auto parts = parse_queue_id(id);
    REQUIRE(parts);
    CHECK((parts->form == form && parts->inode == file->status().st_ino));
    const auto read = file->read_envelope();
    REQUIRE(read);
    CHECK(read->encoding == "8bit");
    REQUIRE(read->size);
    CHECK(read->size->data_offset == read->data_offset);
    CHECK(read->data_offset + read->size->content_size == read->content_end);
    std::string_view line;
    bool unterminated = false;
    std::size_t count = 0;
    for (auto more = file->next_line(line, unterminated); more && *more; more = file->next_line(line, unterminated))
        CHECK(line == "line " + std::to_string(count++));
    CHECK(count == lines);
}

TEST_CASE("a file that is not kept leaves nothing behind", "[queue][writer]") {
    const test::temporary_spool at;
    {
        auto out = queue_file_writer::create(at.spool, directory::incoming);
        REQUIRE(out);
        fill(*out, GENERATE(1U, 30000U));
        queue_file_writer moved = std::move(*out);
        CHECK(!is_empty(at.spool, directory::incoming));
    }
    CHECK(is_empty(at.spool, directory::incoming));
}

TEST_CASE("a write error is kept, reported, and removes the file", "[queue][writer]") {
    const test::temporary_spool at;
    const auto old = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    rlimit small = before;
    small.rlim_cur = 100000;
    {
        auto out = queue_file_writer::create(at.spool, directory::incoming);
        REQUIRE(out);
        ::setrlimit(RLIMIT_FSIZE, &small);
        for (int i = 0; i < 200; ++i)
            out->put_line(std::string(1000, 'x'), false, 2048);
        const auto marked = out->commit_mark();
        ::setrlimit(RLIMIT_FSIZE, &before);
        REQUIRE(!marked);
        CHECK(marked.error().code == std::errc::file_too_large);
        CHECK(out->failed());
        CHECK(!out->keep());
    }
    std::signal(SIGXFSZ, old);
    CHECK(is_empty(at.spool, directory::incoming));
}

TEST_CASE("long lines become pieces", "[queue][writer]") {
    struct row {
        std::size_t length;
        bool unterminated;
        std::string records;
    };
    const auto [length, unterminated, records] =
        GENERATE(row{0, false, "N0"}, row{9, false, "N9"}, row{10, false, "N10"}, row{11, false, "L10N1"},
                 row{25, false, "L10L10N5"}, row{25, true, "L10L10L5"}, row{0, true, "L0"});
    const test::temporary_spool at;
    auto out = queue_file_writer::create(at.spool, directory::maildrop);
    REQUIRE(out);
    out->put_line(std::string(length, 'x'), unterminated, 10);
    REQUIRE(out->commit_mark());
    const auto path = at.spool.path(directory::maildrop, out->id());
    REQUIRE(out->keep());
    const auto bytes = test::slurp(path);
    std::string seen;
    for (record_reader reader(bytes); !reader.done();) {
        const auto record = reader.next();
        REQUIRE(record);
        if (record->type != record_type::end)
            seen += static_cast<char>(record->type) + std::to_string(record->data.size());
    }
    CHECK(seen == records);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0744);
}
