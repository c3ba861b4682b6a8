// mtad: the daemon. Started as the supervisor by the postfix command or an init system; it starts itself again as its
// workers, the spawner and delivery helpers.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>
#include <mta/core/unique_fd.hpp>

#include "control.hpp"
#include "delivery_helper.hpp"
#include "run_worker.hpp"
#include "spawner.hpp"
#include "supervisor.hpp"

namespace {

struct options {
    mta::daemon::start_options start;
    std::string worker; // a role: this process is no supervisor
    mta::daemon::worker_purpose purpose = mta::daemon::worker_purpose::serve;
    bool spawner = false;
    bool delivery_helper = false;
    bool daemonize = false;
};

constexpr const char* usage = "usage: mtad [-c config_dir] [-v] [--foreground | --daemon]\n"
                              "  -c, --config DIR   configuration directory (default: MAIL_CONFIG or as built)\n"
                              "  --foreground       stay in the foreground\n"
                              "  --daemon           go to the background; returns when the mail system is up\n"
                              "  -v                 verbose logging\n"
                              "  --help, --version\n";

// The words are few and historic in form, so they are read by hand; 0 to go on, else an exit status plus one.
int read_options(std::span<const char* const> words, options& out) {
    std::optional<std::string> directory;
    mta::option_reader reader(words, "c:vdws", "mtad");
    while (auto option = reader.next()) {
        const auto is = [&](char letter, std::string_view word) {
            return option->letter == letter || (option->letter == '-' && option->value == word);
        };
        if (option->letter == 'c') {
            directory = std::string(option->value);
        } else if (option->letter == 'v') {
            ++out.start.verbose;
        } else if (is('w', "daemon")) {
            out.daemonize = true;
        } else if (is('d', "foreground") || option->letter == 's') {
            out.start.foreground = true;
        } else if (is('\0', "spawner")) {
            out.spawner = true;
        } else if (is('\0', "delivery-helper")) {
            out.delivery_helper = true;
        } else if (option->letter == '-' && option->value.starts_with("worker=")) {
            out.worker = option->value.substr(7);
        } else if (is('\0', "rehearsal")) {
            out.purpose = mta::daemon::worker_purpose::rehearsal;
        } else if (is('\0', "help")) {
            std::fputs(usage, stdout);
            return 1;
        } else if (is('\0', "version")) {
            std::puts("mtad " MTAD_VERSION);
            return 1;
        } else {
            std::fputs(usage, stderr);
            return 2;
        }
    }
    auto located = mta::config::find_directory(directory);
    if (!located) {
        std::fprintf(stderr, "mtad: fatal: %s\n", located.error().text().c_str());
        return 2;
    }
    // Its processes work in the queue directory.
    std::error_code unknown;
    const auto absolute = std::filesystem::absolute(located->directory, unknown);
    out.start.config_directory = unknown ? located->directory : absolute.string();
    return 0;
}

// Detaches; the parent answers when the supervisor is ready or gave up.
int run_in_background(options& chosen) {
    int ready[2] = {-1, -1};
    if (::pipe(ready) != 0)
        return 1;
    const pid_t pid = ::fork();
    if (pid < 0)
        return 1;
    if (pid > 0) {
        ::close(ready[1]);
        char byte = 0;
        return ::read(ready[0], &byte, 1) == 1 ? 0 : 1;
    }
    ::close(ready[0]);
    ::setsid();
    const mta::unique_fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(null.get(), 0);
    ::dup2(null.get(), 1);
    chosen.start.ready_fd = ready[1];
    return mta::daemon::run_supervisor(chosen.start);
}

int run(int argc, char** argv) {
    options chosen;
    if (const int status = read_options(std::span<const char* const>(argv + 1, static_cast<std::size_t>(argc - 1)), chosen))
        return status - 1;
    if (chosen.spawner)
        return mta::daemon::run_spawner(mta::daemon::control_fd, chosen.start.config_directory);
    if (chosen.delivery_helper)
        return mta::daemon::run_delivery_helper(mta::daemon::control_fd);
    if (!chosen.worker.empty())
        return mta::daemon::run_worker(chosen.worker, chosen.start.config_directory, chosen.purpose);
    if (chosen.daemonize)
        return run_in_background(chosen);
    return mta::daemon::run_supervisor(chosen.start);
}

} // namespace

int main(int argc, char** argv) {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    try {
        return run(argc, argv);
    } catch (const std::exception& trouble) {
        std::fprintf(stderr, "mtad: fatal: %s\n", trouble.what());
        return 1;
    }
}
