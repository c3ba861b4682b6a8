// postdrop: takes mail from local users into the maildrop queue, for sendmail.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <new>
#include <optional>
#include <string>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>

#include "postdrop.hpp"

namespace {

constexpr const char* usage = "usage: postdrop [-c config_dir] [-v]";

int run(int argc, char** argv) {
    mta::config::command_log log("postdrop");
    std::optional<std::string> directory;
    mta::option_reader reader({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, "c:rv", "postdrop");
    while (const auto option = reader.next()) {
        if (option->letter == 'c') {
            directory = option->value;
        } else if (option->letter == '-' && option->value == "version") {
            std::puts("postdrop (mtad) " MTAD_VERSION);
            return 0;
        } else if (option->letter == '-' && option->value == "help") {
            std::printf("%s\nReads submission records from standard input; for the use of sendmail.\n"
                        "  -r  answer on standard output, which is done without it too\n", usage);
            return 0;
        } else if (option->letter != 'r' && option->letter != 'v') {
            log.fatal(usage);
        }
    }
    const auto cfg = log.load(directory);
    return mta::postdrop::run(cfg, log);
}

} // namespace

int main(int argc, char** argv) {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    ::umask(022);
    (void)std::signal(SIGPIPE, SIG_IGN);
    (void)std::signal(SIGXFSZ, SIG_IGN);
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        return 2;
    }
}
