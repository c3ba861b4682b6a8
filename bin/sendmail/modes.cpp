#include "modes.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>


#include "smtp_mode.hpp"
#include "submit.hpp"

namespace mta::sendmail {

namespace {

constexpr const char* help_text = R"(usage: sendmail [option ...] [recipient ...]   submit the message on standard input
       mailq                                   list the queue (sendmail -bp)
       newaliases                              compile alias_database (sendmail -bi)

  -t             take recipients from To:, Cc: and Bcc:
  -f ADDRESS     envelope sender (-r likewise); "" is the null sender
  -F NAME        full name for a From: that must be added
  -i             a line with a single dot does not end the message (-oi likewise)
  -B TYPE        7BIT or 8BITMIME
  -N LIST        delivery notices: success,failure,delay or never
  -R full|hdrs   how much of the message a notice returns
  -V ENVID       envelope ID for notices;  -XV[xy]  VERP
  -v             mail a report of the first delivery attempt
  -G             the message comes from elsewhere: do not complete its headers
  -bv            test delivery of addresses; a report is mailed
  -bs            SMTP on standard input and output
  -bp  -bi  -q  -qRSITE  -qIID  -bd      list, compile aliases, flush, start
  -C DIRECTORY   configuration
  --help  --version
)";

[[noreturn]] void become(const std::string& path, std::vector<std::string> words, config::command_log& log) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (auto& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(path.c_str(), argv.data());
    log.fatal("execute " + path + ": " + std::strerror(errno));
}

[[noreturn]] void become_postqueue(std::vector<std::string> words, const options& asked, const configuration& cfg,
                                   config::command_log& log) {
    words.insert(words.begin(), "postqueue");
    words.insert(words.end(), static_cast<std::size_t>(asked.verbose), "-v");
    become(find_command(cfg, "postqueue"), std::move(words), log);
}

int build_aliases(const options& asked, const configuration& cfg, config::command_log& log) {
    std::vector<std::string> words{"postalias"};
    for (int i = 0; i < asked.verbose; ++i)
        words.emplace_back("-v");
    words.emplace_back("--");
    if (!asked.alias_map.empty()) {
        words.push_back(asked.alias_map);
    } else {
        const auto& maps = cfg[param::alias_database];
        if (maps.empty())
            return 0;
        words.insert(words.end(), maps.begin(), maps.end());
    }
    become(find_command(cfg, "postalias"), std::move(words), log);
}

void check_probe(const options& asked, config::command_log& log) {
    if (asked.mode != mode::probe)
        return;
    if (asked.extract_recipients)
        log.fatal("-t option cannot be used with -bv");
    if (asked.dsn_notify != 0)
        log.fatal("-N option cannot be used with -bv");
    if (asked.dsn_ret != 0)
        log.fatal("-R option cannot be used with -bv");
    if (asked.verbose == 1)
        log.fatal("-v option cannot be used with -bv");
}

void check(const options& asked, config::command_log& log) {
    check_probe(asked, log);
    if (asked.extract_recipients && asked.mode != mode::submit)
        log.fatal("-t can be used only in delivery mode");
    if (asked.recipients.empty())
        return;
    switch (asked.mode) {
    case mode::list_queue:
        log.fatal("display queue mode requires no recipient");
    case mode::build_aliases:
        log.fatal("alias initialization mode requires no recipient");
    case mode::daemon:
        log.fatal("daemon mode requires no recipient");
    case mode::flush_queue:
        log.fatal("flush queue mode requires no recipient");
    case mode::flush_site:
        log.fatal("flush site requires no recipient");
    case mode::flush_message:
        log.fatal("flush queue_id requires no recipient");
    default:
        return;
    }
}

} // namespace

bool long_option(std::string_view word) {
    if (word == "--help")
        std::fputs(help_text, stdout);
    else if (word == "--version")
        std::puts("sendmail (mtad) " MTAD_VERSION);
    else
        return false;
    return true;
}

int run(const options& asked, const configuration& cfg, config::command_log& log) {
    if (asked.interval_queue_run && asked.mode != mode::daemon)
        return 0; // the daemon has intervals of its own
    check(asked, log);
    switch (asked.mode) {
    case mode::submit:
    case mode::probe:
        if (::chdir(cfg[param::queue_directory].c_str()) != 0)
            log.fatal("chdir " + cfg[param::queue_directory] + ": " + std::strerror(errno));
        return submit(asked, cfg, log);
    case mode::list_queue:
        become_postqueue({"-p"}, asked, cfg, log);
    case mode::flush_queue:
        become_postqueue({"-f"}, asked, cfg, log);
    case mode::flush_site:
        become_postqueue({"-s", asked.target}, asked, cfg, log);
    case mode::flush_message:
        become_postqueue({"-i", asked.target}, asked, cfg, log);
    case mode::build_aliases:
        return build_aliases(asked, cfg, log);
    case mode::daemon:
        become(find_command(cfg, "postfix"), {"postfix", "start"}, log);
    case mode::smtp:
        if (!asked.recipients.empty())
            log.fatal("stand-alone mode requires no recipient");
        check_submit_user(cfg, log);
        return talk_smtp(cfg, log);
    case mode::nothing:
        return 0;
    }
    return 0;
}

} // namespace mta::sendmail
