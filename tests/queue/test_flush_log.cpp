#include "temporary_spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <vector>

#include <mta/queue/errc.hpp>
#include <mta/queue/flush_log.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

std::vector<std::string> drained(const spool& where, std::string_view site) {
    std::vector<std::string> ids;
    REQUIRE(drain_flush_log(where, site, [&](const std::string& id) { ids.push_back(id); }));
    return ids;
}

// Seconds ago.
void touch(const spool& where, const std::string& name, long long read, long long written) {
    const auto now = std::time(nullptr);
    const timespec times[2] = {{now - read, 0}, {now - written, 0}};
    REQUIRE(::utimensat(AT_FDCWD, where.path(directory::flush, name).c_str(), times, 0) == 0);
}

} // namespace

TEST_CASE("a site's log has the site's letters and digits for its name", "[queue][flush_log]") {
    const auto [site, name] = GENERATE(table<const char*, const char*>({{"relay.test", "relay_test"},
                                                                        {"Relay.TEST", "relay_test"},
                                                                        {"a_b-c.far.test", "a_b_c_far_test"},
                                                                        {"[1.2.3.4]", "_1_2_3_4_"},
                                                                        {"../etc", "___etc"},
                                                                        {"", ""}}));
    CHECK(flush_log_name(site) == name);
}

TEST_CASE("messages of a site are met once and in order, and then the log is empty", "[queue][flush_log]") {
    const test::temporary_spool at;
    for (const auto* id : {"ABCDEF1", "ABCDEF2", "ABCDEF1", "4jWbK42XXhz1vJ55"})
        REQUIRE(append_flush_log(at.spool, "Relay.test", id));
    CHECK(test::slurp(at.path + "/flush/relay_test") == "ABCDEF1\nABCDEF2\nABCDEF1\n4jWbK42XXhz1vJ55\n");
    struct stat status {};
    REQUIRE(::stat((at.path + "/flush/relay_test").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(drained(at.spool, "relay.test") == std::vector<std::string>{"ABCDEF1", "ABCDEF2", "4jWbK42XXhz1vJ55"});
    CHECK(drained(at.spool, "relay.test").empty());
    CHECK(test::slurp(at.path + "/flush/relay_test").empty());
}

TEST_CASE("a site without a log has no messages, and no name leaves the directory", "[queue][flush_log]") {
    const test::temporary_spool at;
    const auto none = drain_flush_log(at.spool, "nowhere.test", [](const std::string&) { FAIL(); });
    REQUIRE(none);
    CHECK(!*none);
    CHECK(append_flush_log(at.spool, "", "ABCDEF1").error().code == queue::errc::bad_id);
    CHECK(append_flush_log(at.spool, "a.test", "../ABCDEF1").error().code == queue::errc::bad_id);
    CHECK(append_flush_log(at.spool, std::string(300, 'a'), "ABCDEF1").error().code == queue::errc::bad_id);
    REQUIRE(::symlink("/etc/passwd", (at.path + "/flush/link_test").c_str()) == 0);
    CHECK(!append_flush_log(at.spool, "link.test", "ABCDEF1"));
    CHECK(!drain_flush_log(at.spool, "link.test", [](const std::string&) {}));
}

TEST_CASE("what is no queue ID in a log is skipped", "[queue][flush_log]") {
    const test::temporary_spool at;
    std::ofstream(at.path + "/flush/a_test")
        << "../etc/passwd\n\n" << std::string(5000, 'A') << "\nABCDEF1\n" << std::string("A\0B", 3) << "\nABCDEF2";
    CHECK(drained(at.spool, "a.test") == std::vector<std::string>{"ABCDEF1", "ABCDEF2"});
}

TEST_CASE("logs that nobody reads are drained, empty ones go, each after its time", "[queue][flush_log]") {
    const test::temporary_spool at;
    for (const auto* site : {"unread.test", "young.test", "written.test"})
        REQUIRE(append_flush_log(at.spool, site, "ABCDEF1"));
    touch(at.spool, "unread_test", 200, 0); // written to just now, yet not read for long
    touch(at.spool, "written_test", 0, 200);
    for (const auto* name : {"empty_old", "empty_young"})
        std::ofstream(at.path + "/flush/" + name);
    touch(at.spool, "empty_old", 0, 1100);
    touch(at.spool, "empty_young", 1100, 0);
    int met = 0;
    const auto count = [&](const std::string&) { ++met; };
    REQUIRE(refresh_flush_logs(at.spool, {100, 1000}, count));
    CHECK(met == 1);
    CHECK(test::slurp(at.path + "/flush/unread_test").empty());
    CHECK(!test::slurp(at.path + "/flush/young_test").empty());
    CHECK(!test::slurp(at.path + "/flush/written_test").empty());
    CHECK(::access((at.path + "/flush/empty_old").c_str(), F_OK) != 0);
    CHECK(::access((at.path + "/flush/empty_young").c_str(), F_OK) == 0);
    touch(at.spool, "young_test", 5, 5);
    touch(at.spool, "written_test", 5, 5);
    REQUIRE(refresh_flush_logs(at.spool, {0, 1000}, count)); // all of them
    CHECK(met == 3);
}
