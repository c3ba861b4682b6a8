#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mta/config/configuration.hpp>
#include <mta/config/file_snapshot.hpp>
#include <mta/config/master.hpp>
#include <mta/core/file.hpp>
#include "../support/temporary_directory.hpp"

using namespace mta;
using config::configuration;

namespace {

void put(const std::string& path, std::string_view text) { REQUIRE(replace_file(path, text, 0644)); }

// Adopting is for a whole process, so a process does it.
template <class Check>
bool in_a_process(const Check& check) {
    const pid_t pid = ::fork();
    if (pid == 0)
        ::_exit(check() ? 0 : 1);
    int status = 1;
    return ::waitpid(pid, &status, 0) == pid && status == 0;
}

} // namespace

TEST_CASE("a process reads what another has read, whatever the files hold now", "[config]") {
    const mta::test::temporary_directory place;
    const std::string etc = place.path();
    for (const char* name : {"/main.d", "/master.d"})
        REQUIRE(::mkdir((etc + name).c_str(), 0755) == 0);
    put(etc + "/main.cf", "myhostname = one.test\nmtad_main_cf_directory = main.d\nmtad_master_cf_directory = master.d\n");
    put(etc + "/main.d/10.cf", "mine = first\n");
    put(etc + "/master.cf", "smtp inet n - n - - smtpd\n");
    put(etc + "/master.d/10.cf", "pickup unix n - n 60 1 pickup\n");
    std::string recorded;
    {
        const config::file_recording recording;
        const auto cfg = configuration::load(etc);
        REQUIRE(cfg);
        recorded = recording.text();
        CHECK(recorded.find("smtpd") == std::string::npos); // nobody has read master.cf yet
        REQUIRE(config::load_master(*cfg));
        recorded = recording.text();
    }
    put(etc + "/main.cf", "no equals sign\n");
    put(etc + "/main.d/20.cf", "mine = second\n");
    put(etc + "/master.cf", "half a line\n");
    REQUIRE(::unlink((etc + "/main.d/10.cf").c_str()) == 0);
    CHECK_FALSE(configuration::load(etc));
    CHECK(in_a_process([&] {
        if (!config::adopt_files(recorded))
            return false;
        const auto cfg = configuration::load(etc);
        return cfg && cfg->text("myhostname") == "one.test" && cfg->text("mine") == "first" &&
               config::load_master(*cfg)->size() == 2 &&
               !config::read_configuration_file(etc + "/main.d/20.cf");
    }));
    CHECK_FALSE(configuration::load(etc)); // this process has adopted nothing
}

TEST_CASE("what is cut short is no recording", "[config]") {
    CHECK(in_a_process([] { return !config::adopt_files("a"); }));
    CHECK(in_a_process([] { return !config::adopt_files({}); }));
}
