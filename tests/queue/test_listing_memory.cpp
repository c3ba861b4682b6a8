#include "temporary_spool.hpp"

#include <unistd.h>

#include <chrono>
#include <thread>

#include <mta/queue/listing_memory.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/queue/queue_file.hpp>

using namespace mta;
using namespace mta::queue;
using namespace std::chrono_literals;

namespace {

const std::string id = "1F4B6A72449";
const std::string other_id = "39AAFA90117";

struct remembered_spool : test::temporary_spool {
    listing_memory memory{listing_memory::usual_limit, 0s};

    remembered_spool() {
        put(directory::deferred, id, test::golden("smtp_dsn"));
        put(directory::deferred, other_id, test::golden("smtp_dsn"));
        log("one@far.test", "a reason that is long enough to be shared");
    }

    void log(const std::string& recipient, const std::string& reason) const {
        log_entry entry;
        entry.recipient = recipient;
        entry.reason = reason;
        const log_entry entries[] = {entry};
        REQUIRE(append_log(spool, directory::defer, id, entries));
    }

    std::string from_memory() { return list(memory); }
    std::string from_files() const {
        listing_memory none(0);
        return list(none);
    }

    // Later than anything so far, by the clock of the file system as well.
    static void wait() { std::this_thread::sleep_for(20ms); }

private:
    std::string list(listing_memory& with) const {
        queue_listing listing(spool, {});
        std::string out;
        auto more = listing.append_next(out, with);
        while (more && *more)
            more = listing.append_next(out, with);
        REQUIRE(more);
        return out;
    }
};

} // namespace

TEST_CASE("a listing from memory is the listing from the files", "[queue][listing_memory]") {
    remembered_spool at;
    at.wait();
    const auto first = at.from_memory();
    CHECK(first == at.from_files());
    CHECK(first.find("long enough to be shared") != std::string::npos);
    CHECK((at.memory.knows(directory::deferred, id) && at.memory.knows(directory::deferred, other_id)));
    CHECK_FALSE(at.memory.knows(directory::hold, id));
    CHECK(at.from_memory() == first);

    const auto message = at.spool.status(directory::deferred, id);
    const auto log = at.spool.status(directory::defer, id);
    REQUIRE((message && *message && log && *log));
    std::string out;
    CHECK(at.memory.append(out, directory::deferred, id, {stamp_of(**message), stamp_of(**log)}, 1));
    CHECK((first.find(out) != std::string::npos && out.find(id) != std::string::npos && out.ends_with(std::string(2, 0))));
}

TEST_CASE("what anybody does to the files shows in the next listing", "[queue][listing_memory]") {
    remembered_spool at;
    at.wait();
    const auto before = at.from_memory();
    at.wait();
    const auto path = at.spool.path(directory::deferred, id);

    SECTION("a recipient is done") {
        auto opened = queue_file::open(at.spool, directory::deferred, id, access::read_write);
        REQUIRE(opened);
        const auto envelope = opened->read_envelope();
        REQUIRE(envelope);
        REQUIRE(mark_done(opened->fd(), envelope->recipients.at(1).offset));
    }
    SECTION("another reason") { at.log("one@far.test", "still not"); }
    SECTION("the log is gone") { REQUIRE(at.spool.remove(directory::defer, id)); }
    SECTION("a log appears") {
        const auto from = at.spool.path(directory::defer, id);
        REQUIRE(at.spool.make_hash_directories(directory::defer, other_id));
        REQUIRE(::rename(from.c_str(), at.spool.path(directory::defer, other_id).c_str()) == 0);
    }
    SECTION("expired") { REQUIRE(::chmod(path.c_str(), 0710) == 0); }
    SECTION("no longer complete") { REQUIRE(::chmod(path.c_str(), 0600) == 0); }
    SECTION("on hold") { REQUIRE(at.spool.move(directory::deferred, directory::hold, id)); }
    SECTION("removed") { REQUIRE(at.spool.remove(directory::deferred, id)); }
    SECTION("another file of the same size under its name") {
        auto bytes = test::slurp(path);
        bytes.replace(bytes.find("one@far"), 7, "two@far");
        std::ofstream(path + "x", std::ios::binary) << bytes;
        REQUIRE(::chmod((path + "x").c_str(), 0700) == 0);
        REQUIRE(::rename((path + "x").c_str(), path.c_str()) == 0);
        REQUIRE(at.spool.remove(directory::defer, id));
    }
    const auto after = at.from_memory();
    CHECK(after == at.from_files());
    CHECK(after != before);
    CHECK(at.from_memory() == after);
}

TEST_CASE("what is gone is forgotten, with the reasons that nobody shares", "[queue][listing_memory]") {
    remembered_spool at;
    at.wait();
    CHECK_FALSE(at.from_memory().empty());
    CHECK(at.memory.bytes() > 0);
    REQUIRE(at.spool.remove(directory::deferred, id));
    REQUIRE(at.spool.remove(directory::deferred, other_id));
    CHECK(at.from_memory().empty());
    CHECK(at.memory.bytes() == 0);
    CHECK_FALSE(at.memory.knows(directory::deferred, id));
}

TEST_CASE("a file that has just changed is read again", "[queue][listing_memory]") {
    remembered_spool at;
    listing_memory usual;
    queue_listing listing(at.spool, {});
    std::string out;
    for (auto more = listing.append_next(out, usual); more && *more;)
        more = listing.append_next(out, usual);
    CHECK_FALSE(out.empty());
    CHECK_FALSE(usual.knows(directory::deferred, id));
}

TEST_CASE("the memory is bounded, and the listing is whole all the same", "[queue][listing_memory]") {
    remembered_spool at;
    at.wait();
    listing_memory small(900, 0s);
    for (int round = 0; round < 2; ++round) {
        queue_listing listing(at.spool, {});
        std::string out;
        for (auto more = listing.append_next(out, small); more && *more;)
            more = listing.append_next(out, small);
        CHECK(out == at.from_files());
        CHECK(small.bytes() <= 900);
        CHECK(small.knows(directory::deferred, id) != small.knows(directory::deferred, other_id));
    }
}
