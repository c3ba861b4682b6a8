// postcat: options, then run.
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>

#include <mta/config/command_log.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/text.hpp>

#include "postcat.hpp"

namespace {

constexpr const char* help = R"(usage: postcat [-bdefhoqrv] [-c config_dir] [-s offset] [file ...]
Shows queue files; without a file, standard input.
  -e -h -b   envelope, message header, message body (all when none is given)
  -q         the operands are queue IDs
  -d -o      record types in decimal, file offsets
  -s offset  begin there
  -f         the file name before each line
  -r -v      file order (with -v), pointers and labels too
  -c dir     configuration directory
  --raw      the message as it would be sent, with LF line ends
  --json     the message as one JSON object (with -e: its envelope only)
  --help, --version
)";

[[noreturn]] void usage() {
    mta::config::command_log("postcat")
        .fatal("usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] "
               "[-h (header text)] [-q (access queue)] [-v] [file(s)...]");
}

} // namespace

int main(int argc, char** argv) try {
    mta::postcat::options opt;
    mta::option_reader reader({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, "bc:defhoqrs:v", "postcat");
    while (const auto option = reader.next()) {
        switch (option->letter) {
        case 'b': opt.body = true; break;
        case 'c': opt.config_directory = std::string(option->value); break;
        case 'd': opt.types = true; break;
        case 'e': opt.envelope = true; break;
        case 'f': opt.file_names = true; break;
        case 'h': opt.header = true; break;
        case 'o': opt.offsets = true; break;
        case 'q': opt.queue_ids = true; break;
        case 'r': opt.raw = true; break;
        case 's': {
            const auto start = mta::parse_integer(option->value);
            if (!start || *start < 0)
                mta::config::command_log("postcat").fatal("bad offset: " + std::string(option->value));
            opt.start = *start;
            break;
        }
        case 'v': ++opt.verbose; break;
        case '-':
            if (option->value == "help" || option->value == "version") {
                std::fputs(option->value == "help" ? help : "postcat (mtad) " MTAD_VERSION "\n", stdout);
                return 0;
            }
            if (option->value == "json" || option->value == "raw") {
                (option->value == "json" ? opt.json : opt.message) = true;
                break;
            }
            [[fallthrough]];
        default: usage();
        }
    }
    for (const auto* file : reader.operands())
        opt.files.emplace_back(file);
    return mta::postcat::run(std::move(opt), stdout);
} catch (const std::exception& trouble) {
    std::fprintf(stderr, "postcat: fatal: %s\n", trouble.what());
    return 1;
}
