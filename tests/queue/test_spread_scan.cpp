#include "temporary_spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>

#include <mta/queue/spread_scan.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

std::set<std::string> fill(const test::temporary_spool& at, int count) {
    std::set<std::string> names;
    for (int i = 0; i < count; ++i) {
        const auto id = make_queue_id({0, i * 97 % 1000000}, static_cast<ino_t>(i) + 77, id_form::short_id);
        at.put(directory::deferred, id, "x");
        names.insert(id);
    }
    return names;
}

} // namespace

TEST_CASE("a spread scan meets every file of every depth once, on any number of threads", "[queue][spread_scan]") {
    const test::temporary_spool at;
    auto expected = fill(at, 1500);
    std::ofstream(at.path + "/deferred/TOPLEVEL1") << "x";
    expected.insert("TOPLEVEL1");
    REQUIRE(::mkdir((at.path + "/deferred/A").c_str(), 0700) <= 0);
    REQUIRE(::mkdir((at.path + "/deferred/A/B").c_str(), 0700) == 0);
    std::ofstream(at.path + "/deferred/A/B/ABCDEF1") << "x";
    expected.insert("ABCDEF1");
    const unsigned threads = GENERATE(1U, 2U, 7U);
    CAPTURE(threads);
    std::mutex mutex;
    std::set<std::string> seen;
    bool once = true;
    bool found = true;
    REQUIRE(spread_scan(at.spool, directory::deferred, threads, scan_order::as_found, [&](const scan_entry& entry) {
        const std::lock_guard lock(mutex);
        struct stat status {};
        found = found && ::fstatat(entry.directory_fd, std::string(entry.name).c_str(), &status, 0) == 0 &&
                ::stat((at.path + '/' + std::string(entry.path) + '/' + std::string(entry.name)).c_str(), &status) == 0;
        once = seen.insert(std::string(entry.name)).second && once;
        return scan_step::go_on;
    }));
    CHECK(once);
    CHECK(found);
    CHECK(seen == expected);
}

TEST_CASE("what a spread scan shows may be removed", "[queue][spread_scan]") {
    const test::temporary_spool at;
    // One directory is shared by all threads, too.
    const int depth = GENERATE(0, 1);
    spool_options options;
    options.root = at.path;
    options.hash_depth = depth;
    const auto flat = *spool::open(options);
    std::atomic<int> removed = 0;
    for (int i = 0; i < 6000; ++i)
        REQUIRE(flat.open_file(directory::deferred, make_queue_id({0, i}, static_cast<ino_t>(i) + 1, id_form::short_id),
                               O_CREAT | O_WRONLY, 0700));
    REQUIRE(*has_files(flat, directory::deferred));
    REQUIRE(spread_scan(flat, directory::deferred, 3, scan_order::by_inode, [&](const scan_entry& entry) {
        removed += ::unlinkat(entry.directory_fd, std::string(entry.name).c_str(), 0) == 0 ? 1 : 0;
        return scan_step::go_on;
    }));
    CHECK(removed == 6000);
    CHECK(!*has_files(flat, directory::deferred));
}

TEST_CASE("a spread scan stops when it is told to", "[queue][spread_scan]") {
    const test::temporary_spool at;
    fill(at, 3000);
    std::atomic<int> seen = 0;
    REQUIRE(spread_scan(at.spool, directory::deferred, 2, scan_order::by_inode, [&](const scan_entry&) {
        return ++seen >= 10 ? scan_step::stop : scan_step::go_on;
    }));
    CHECK(seen < 3000);
}

TEST_CASE("a queue that is missing is an error, an empty one is none", "[queue][spread_scan]") {
    const test::temporary_spool at;
    const auto nothing = [](const scan_entry&) { return scan_step::go_on; };
    CHECK(spread_scan(at.spool, directory::hold, 2, scan_order::as_found, nothing));
    CHECK(!*has_files(at.spool, directory::hold));
    REQUIRE(::rmdir((at.path + "/hold").c_str()) == 0);
    CHECK(!spread_scan(at.spool, directory::hold, 2, scan_order::as_found, nothing));
    CHECK(!has_files(at.spool, directory::hold));
}
