// postqueue: options, then run.
#include <cstdio>
#include <exception>
#include <span>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>

#include "postqueue.hpp"

namespace {

constexpr const char* help = R"(usage: postqueue [-v] [-c config_dir] -p | -j | -f | -i queue_id | -s site
  -p, --json (-j)  list the queue, for people or as one JSON object a line
  -f               try to deliver all queued mail now
  -i queue_id      try to deliver one deferred message now
  -s site          try to deliver all mail for a site now
  -c dir           configuration directory
With -p, -j or -f, only messages like these (alternatives by repetition; * and ? as in file names):
  --sender A  --recipient A  --domain D  --reason TEXT
  --older AGE  --newer AGE   90s 15m 2h 3d 1w
  --size +N | --size -N      larger or smaller than N bytes; k M G
  --count          their number only
  --dry-run        with -f: print the queue IDs, ask for nothing
  --help, --version
)";

[[noreturn]] void usage() {
    mta::config::command_log("postqueue", mta::postqueue::fatal_status)
        .fatal("usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site");
}

} // namespace

int main(int argc, char** argv) try {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    using mta::postqueue::action;
    mta::postqueue::options opt;
    const auto choose = [&](action what, std::string_view argument) {
        if (opt.action != action::none)
            usage();
        opt.action = what;
        opt.argument = argument;
    };
    mta::option_reader reader({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, "c:fi:jps:v", "postqueue");
    while (const auto option = reader.next()) {
        switch (option->letter) {
        case 'c': opt.config_directory = std::string(option->value); break;
        case 'f': choose(action::flush, {}); break;
        case 'i': choose(action::flush_id, option->value); break;
        case 'j': choose(action::list_json, {}); break;
        case 'p': choose(action::list, {}); break;
        case 's': choose(action::flush_site, option->value); break;
        case 'v': ++opt.verbose; break;
        case '-':
            if (option->value == "help" || option->value == "version") {
                std::fputs(option->value == "help" ? help : "postqueue (mtad) " MTAD_VERSION "\n", stdout);
                return 0;
            }
            if (option->value == "json") {
                if (opt.action == action::list)
                    opt.action = action::none; // -p --json
                choose(action::list_json, {});
                break;
            }
            if (option->value == "count" || option->value == "dry-run") {
                (option->value == "count" ? opt.count : opt.dry_run) = true;
                break;
            }
            if (mta::queue::add_criterion(opt.selection, reader, *option, [](const std::string& text) {
                    mta::config::command_log("postqueue", mta::postqueue::fatal_status).fatal(text);
                }))
                break;
            [[fallthrough]];
        default: usage();
        }
    }
    if (opt.action == action::none && (opt.count || !opt.selection.empty()))
        opt.action = action::list;
    const bool listing = opt.action == action::list || opt.action == action::list_json;
    if (opt.action == action::none || !reader.operands().empty() || (opt.count && !listing) ||
        (!opt.selection.empty() && !listing && opt.action != action::flush) ||
        (opt.dry_run && opt.action != action::flush))
        usage();
    return mta::postqueue::run(opt, stdout);
} catch (const std::exception& trouble) {
    std::fprintf(stderr, "postqueue: fatal: %s\n", trouble.what());
    return mta::postqueue::fatal_status;
}
