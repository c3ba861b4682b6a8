// postsuper: options, then run.
#include <cstdio>
#include <exception>
#include <span>

#include <mta/config/command_log.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>

#include "postsuper.hpp"

namespace {

constexpr const char* help = R"(usage: postsuper [-psSv] [-c config_dir] [-d|-e|-f|-h|-H|-r id]... [queue ...]
Changes queued messages. id is a queue ID, "-" (IDs on standard input) or ALL.
  -d id  delete            -h id  put on hold
  -e id  expire            -H id  release from hold
  -r id  requeue           -f id  expire, and release from hold
  -s -S  repair names and hash directories (-S: long names too)
  -p     remove incomplete files older than seven days
Without an action: -s -p. Queues: hold incoming active deferred maildrop (-s -p: bounce defer trace flush too).
Only messages like these (alternatives by repetition; * and ? as in file names):
  --sender A  --recipient A  --domain D  --reason TEXT
  --older AGE  --newer AGE   90s 15m 2h 3d 1w
  --size +N | --size -N      larger or smaller than N bytes; k M G
for example: postsuper -d ALL --sender 'spam@*' --older 1h
  --dry-run  say what would be done     --count  only how many that are
  --json     a JSON object for each message
  --help, --version
)";

[[noreturn]] void usage() {
    mta::config::command_log("postsuper")
        .fatal("usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] "
               "[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] "
               "[-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] "
               "[-S (redundant structure fix)][-v (verbose)] [queue...]");
}

} // namespace

int main(int argc, char** argv) try {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    mta::postsuper::options opt;
    mta::option_reader reader({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, "c:d:e:f:h:H:pr:sSv",
                              "postsuper");
    while (const auto option = reader.next()) {
        switch (option->letter) {
        case 'c':
            if (!option->value.starts_with('/'))
                mta::config::command_log("postsuper").fatal("-c requires absolute pathname");
            opt.config_directory = std::string(option->value);
            break;
        case 'd': case 'e': case 'f': case 'h': case 'H': case 'r':
            opt.steps.push_back({option->letter, std::string(option->value)});
            break;
        case 'p': opt.purge = true; break;
        case 's': opt.structure = true; break;
        case 'S': opt.structure = opt.long_structure = true; break;
        case 'v': ++opt.verbose; break;
        case '-':
            if (option->value == "help" || option->value == "version") {
                std::fputs(option->value == "help" ? help : "postsuper (mtad) " MTAD_VERSION "\n", stdout);
                return 0;
            }
            if (option->value == "dry-run")
                opt.dry_run = true;
            else if (option->value == "count")
                opt.dry_run = opt.count = true;
            else if (option->value == "json")
                opt.json = true;
            else if (!mta::queue::add_criterion(opt.selection, reader, *option, [](const std::string& text) {
                         mta::config::command_log("postsuper").fatal(text);
                     }))
                usage();
            break;
        default: usage();
        }
    }
    for (const auto* name : reader.operands())
        opt.queues.emplace_back(name);
    if (opt.steps.empty() && (opt.dry_run || opt.json || !opt.selection.empty()))
        mta::config::command_log("postsuper").fatal("nothing to do: name an action, for example -h ALL");
    return mta::postsuper::run(std::move(opt), stdin, stdout);
} catch (const std::exception& trouble) {
    std::fprintf(stderr, "postsuper: fatal: %s\n", trouble.what());
    return 1;
}
