// sendmail, mailq and newaliases: the historic way into the mail system for programs and people.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>

#include "modes.hpp"
#include "options.hpp"

namespace {

int run(int argc, char** argv) {
    const std::string program(mta::config::program_name(argc > 0 ? argv[0] : "sendmail"));
    const auto words = argc > 1 ? std::span<const char* const>(argv + 1, static_cast<std::size_t>(argc - 1))
                                : std::span<const char* const>();
    if (words.size() == 1 && mta::sendmail::long_option(words[0]))
        return 0;
    mta::config::command_log log(program, mta::ex_tempfail);
    mta::sendmail::options early;
    mta::sendmail::scan_early(words, program, early);
    const auto where = mta::config::find_directory(early.configuration);
    if (!where)
        log.fatal(where.error());
    if (where->chosen)
        (void)::setenv("MAIL_CONFIG", where->directory.c_str(), 1);
    const auto cfg = mta::configuration::load(where->directory);
    if (!cfg)
        log.fatal(cfg.error());
    log.use_checked(*cfg);
    const auto asked = mta::sendmail::parse(words, log);
    return mta::sendmail::run(asked, *cfg, log);
}

} // namespace

int main(int argc, char** argv) {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    (void)::close_range(3, 99, 0); // others are not ours to hand on
    ::umask(022);
    (void)std::signal(SIGPIPE, SIG_IGN);
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        return mta::ex_tempfail;
    }
}
