// postfix: starts, stops and inspects the mail system of one configuration directory.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <mta/config/command_log.hpp>
#include <mta/config/legacy_default.hpp>
#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>
#include <mta/core/argv.hpp>

#include "control.hpp"

namespace {

constexpr std::string_view help = R"(usage: postfix [-c DIRECTORY] [-Dv] COMMAND

  start         start the mail system, as a daemon
  start-fg      start it in the foreground
  stop          stop it, letting deliveries end
  abort         stop it at once
  reload        read the configuration again
  flush         try to deliver all deferred mail now
  check         look at owners and modes, create missing directories
  status        tell whether it runs
  set-permissions [NAME=VALUE ...]
                correct owners and modes
  logrotate     move maillog_file away and compress it
  -c DIRECTORY  use the main.cf and master.cf there

Needs root. Another user may run a mail system of his own when -c or MAIL_CONFIG
names its configuration and queue_directory belongs to that user.
)";

// The reference refuses everybody but root; here a user may run what is his.
bool own_mail_system(const mta::configuration& cfg, bool chosen) {
    struct stat info {};
    return chosen && stat(cfg[mta::param::queue_directory].c_str(), &info) == 0 && info.st_uid == geteuid();
}

// Said at every use, until the administrator has gone through the list of changes.
void tell_of_legacy_defaults(const mta::configuration& cfg) {
    if (!mta::config::below_level(cfg, mta::config::last_changed_level))
        return;
    const auto file = mta::config::open_mail_log(cfg, "postfix");
    if (!file)
        return;
    auto sink = file->sink();
    if (isatty(STDERR_FILENO) == 1)
        sink = mta::copy_to(STDERR_FILENO, "postfix", std::move(sink));
    const mta::logger log(std::move(sink), cfg.text("syslog_name"));
    log.info("Postfix is using backwards-compatible default settings");
    log.info("See http://www.postfix.org/COMPATIBILITY_README.html for details");
    log.info("To disable backwards compatibility use \"postconf compatibility_level=" +
             std::string(mta::config::last_changed_level) + "\" and \"postfix reload\"");
}

int postfix_main(int argc, char** argv) {
    constexpr auto problems = mta::config::copy_to_stderr::problems;
    mta::config::command_log log("postfix", 1, problems);
    const std::span<const char* const> words(argv + 1, static_cast<std::size_t>(argc - 1));
    mta::option_reader options(words, "c:Dv", "postfix");
    std::optional<std::string_view> directory;
    bool usage = false;
    while (const auto option = options.next()) {
        if (option->letter == '-')
            return mta::config::long_option(option->value, "postfix", help);
        if (option->letter == 'c')
            directory = option->value;
        usage = usage || option->letter == '?';
    }
    const auto operands = options.operands();
    if (directory && !directory->starts_with('/'))
        log.fatal("-c requires absolute pathname");
    const auto where = mta::config::find_directory(directory);
    if (!where)
        log.fatal(where.error());
    const auto cfg = mta::configuration::load(where->directory);
    const bool root = geteuid() == 0;
    if (!root && (!cfg || !own_mail_system(*cfg, where->chosen)))
        log.fatal("to submit mail, use the Postfix sendmail command\n"
                  "the postfix command is reserved for the superuser");
    if (!cfg)
        log.fatal(cfg.error());
    if (usage || operands.empty())
        log.fatal("usage: postfix [-c config_dir] [-Dv] command");
    setenv("MAIL_CONFIG", where->directory.c_str(), 1);

    mta::config::command_log script("postfix-script", 1, problems);
    script.show_tag();
    script.use(*cfg);
    tell_of_legacy_defaults(*cfg);
    mta::postfix::context ctx{*cfg, script, root};
    std::vector<std::string> rest;
    for (const auto* word : operands.subspan(1))
        rest.emplace_back(word);
    return mta::postfix::run(ctx, operands.front(), rest);
}

} // namespace

int main(int argc, char** argv) {
    try {
        return postfix_main(argc, argv);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "postfix: fatal: %s\n", problem.what());
        return 1;
    }
}
