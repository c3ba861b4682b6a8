#include "temporary_spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <set>

#include <mta/queue/errc.hpp>

using namespace mta;
using namespace mta::queue;

TEST_CASE("messages are found, moved and removed, and hash directories appear when needed", "[queue][spool]") {
    const test::temporary_spool at;
    at.put(directory::incoming, "39AAFA90117", "x");
    REQUIRE(at.spool.move(directory::incoming, directory::active, "39AAFA90117"));
    REQUIRE(at.spool.defer(directory::active, "39AAFA90117", {2000000000, 5}));
    const auto status = at.spool.status(directory::deferred, "39AAFA90117");
    REQUIRE((status && *status));
    CHECK((*status)->st_mtime == 2000000000);
    CHECK(at.spool.relative_path(directory::deferred, "39AAFA90117") == "deferred/3/39AAFA90117");
    const auto found = at.spool.find("39AAFA90117", {directory::active, directory::deferred});
    REQUIRE((found && *found));
    CHECK((*found)->where == directory::deferred);
    CHECK(*at.spool.remove(directory::deferred, "39AAFA90117"));
    CHECK(!*at.spool.remove(directory::deferred, "39AAFA90117"));
    CHECK(at.spool.move(directory::active, directory::hold, "39AAFA90117").error().code ==
          std::errc::no_such_file_or_directory);
}

TEST_CASE("a name that is no queue ID never reaches the file system", "[queue][spool]") {
    const test::temporary_spool at;
    const std::string id = GENERATE("", "../etc", "a/b", "a.b", "A\n");
    CHECK(at.spool.open_file(directory::active, id, 0).error().code == queue::errc::bad_id);
    CHECK(at.spool.remove(directory::active, id).error().code == queue::errc::bad_id);
    CHECK(at.spool.move(directory::active, directory::hold, id).error().code == queue::errc::bad_id);
}

TEST_CASE("links and FIFOs are refused without waiting", "[queue][spool]") {
    const test::temporary_spool at;
    REQUIRE(::symlink("/etc/passwd", at.spool.path(directory::active, "LINK1").c_str()) == 0);
    CHECK(at.spool.open_file(directory::active, "LINK1", O_RDONLY).error().code == queue::errc::not_regular);
    REQUIRE(::mkfifo(at.spool.path(directory::active, "FIFO1").c_str(), 0700) == 0);
    CHECK(at.spool.open_file(directory::active, "FIFO1", O_WRONLY).error().code == queue::errc::not_regular);
}

TEST_CASE("a scan sees every file of every depth", "[queue][spool]") {
    const test::temporary_spool at;
    std::set<std::string> expected;
    for (int i = 0; i < 300; ++i) {
        const auto id = make_queue_id({0, i * 3001}, static_cast<ino_t>(i) + 77, id_form::short_id);
        at.put(directory::deferred, id, "x");
        expected.insert(id);
    }
    std::ofstream(at.path + "/deferred/TOPLEVEL1") << "x"; // left over from hash_queue_depth = 0
    expected.insert("TOPLEVEL1");
    std::set<std::string> seen;
    REQUIRE(scan(at.spool, directory::deferred, [&](const scan_entry& entry) {
        CHECK(seen.insert(std::string(entry.name)).second);
        return scan_step::go_on;
    }));
    CHECK(seen == expected);
    int visits = 0;
    REQUIRE(scan(at.spool, directory::deferred, [&](const scan_entry&) {
        return ++visits == 5 ? scan_step::stop : scan_step::go_on;
    }));
    CHECK(visits == 5);
}

TEST_CASE("a hash directory that cannot be read is skipped and told, the queue's own is an error", "[queue][spool]") {
    const test::temporary_spool at;
    REQUIRE(::chmod(at.path.c_str(), 0755) == 0);
    REQUIRE(::chmod((at.path + "/deferred").c_str(), 0755) == 0);
    for (const char* name : {"A", "B", "C"})
        REQUIRE(::mkdir((at.path + "/deferred/" + name).c_str(), 0755) == 0);
    std::ofstream(at.path + "/deferred/A/A1111") << "x";
    std::ofstream(at.path + "/deferred/C/C1111") << "x";
    const auto refuse = [&](const std::string& directory) {
        REQUIRE(::chmod((at.path + directory).c_str(), 0) == 0);
        if (::geteuid() == 0) // whom no mode stops
            REQUIRE(::seteuid(65534) == 0);
    };
    const auto allow = [&](const std::string& directory) {
        if (::getuid() == 0)
            REQUIRE(::seteuid(0) == 0);
        REQUIRE(::chmod((at.path + directory).c_str(), 0755) == 0);
    };
    std::set<std::string> seen;
    std::vector<std::string> skipped;
    const auto walk = [&] {
        seen.clear();
        return scan(
            at.spool, directory::deferred,
            [&](const scan_entry& entry) {
                seen.emplace(entry.name);
                return scan_step::go_on;
            },
            [&](const error& why) { skipped.push_back(why.text()); });
    };
    refuse("/deferred/B");
    const auto partly = walk();
    allow("/deferred/B");
    CHECK(partly);
    CHECK(seen == std::set<std::string>{"A1111", "C1111"});
    REQUIRE(skipped.size() == 1);
    CHECK(skipped[0].find("deferred/B") != std::string::npos);
    refuse("/deferred");
    const auto none = walk();
    allow("/deferred");
    CHECK_FALSE(none);
}

TEST_CASE("the mode of a file tells its state", "[queue][spool]") {
    CHECK(is_complete(S_IFREG | 0700));
    CHECK(is_complete(S_IFREG | 0744));
    CHECK(!is_complete(S_IFREG | 0600));
    CHECK(!is_complete(S_IFDIR | 0700));
    CHECK(is_marked_corrupt(S_IFREG | 0400));
    CHECK(is_force_expired(S_IFREG | 0710));
    CHECK(is_unthrottled(S_IFREG | 0740));
}
