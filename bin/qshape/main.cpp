// qshape: options, then run.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>

#include <mta/config/command_log.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>

#include "qshape.hpp"

namespace {

constexpr int usage_status = 255; // as ever

constexpr const char* help = R"(usage: qshape [-slp] [-m min_subdomains] [-b bucket_count] [-t bucket_time]
              [-w width] [-N messages] [-n domains] [-c config_dir] [--json] [queue ...]
Counts waiting recipients by domain and age; queues are incoming and active unless named.
  -s         messages by sender domain instead
  -p -m N    parent domains too, those with N subdomains at least (5)
  -b N -t N  so many buckets (10), the first of so many minutes (5); each next one doubles
  -l         buckets of equal length
  -w N       columns of the table (80)
  -N N -n N  on a terminal: a table after each N messages (1000), of N domains (20)
  -c dir     configuration directory
  --json     one JSON object
  --help, --version
)";

[[noreturn]] void usage(const std::string& why) {
    mta::config::command_log("qshape", usage_status).fatal(why + "; usage: qshape [-slp] [-m min_subdomains] "
        "[-b bucket_count] [-t bucket_time] [-w width] [-N messages] [-n domains] [-c config_dir] [queue ...]");
}

// What is no number, or not above least, leaves the default.
double number(std::string_view text, double least, double otherwise) {
    const double value = std::strtod(std::string(text).c_str(), nullptr);
    return value > least && value < 1e9 ? value : otherwise;
}

} // namespace

int main(int argc, char** argv) try {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    mta::qshape::options opt;
    auto& shape = opt.shape;
    mta::option_reader reader({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)}, "b:c:hlm:N:n:pst:w:", "qshape");
    while (const auto option = reader.next()) {
        switch (option->letter) {
        case 'b': shape.buckets = static_cast<int>(number(option->value, 0.999, shape.buckets)); break;
        case 'c': opt.config_directory = std::string(option->value); break;
        case 'l': shape.linear = true; break;
        case 'm': shape.children = static_cast<unsigned long>(number(option->value, 0, 5)); break;
        case 'N': opt.batch = static_cast<unsigned long>(number(option->value, -0.5, 1000)); break;
        case 'n': shape.top = static_cast<std::size_t>(number(option->value, -0.5, 0)); break;
        case 'p': shape.parents = true; break;
        case 's': opt.senders = true; break;
        case 't': shape.minutes = number(option->value, 0, shape.minutes); break;
        case 'w': shape.width = static_cast<int>(number(option->value, 80, shape.width)); break;
        case 'h': usage("help");
        case '-':
            if (option->value == "help" || option->value == "version") {
                std::fputs(option->value == "help" ? help : "qshape (mtad) " MTAD_VERSION "\n", stdout);
                return 0;
            }
            if (option->value != "json")
                usage("unknown option --" + std::string(option->value));
            opt.json = true;
            break;
        default: usage("bad option");
        }
    }
    if (shape.buckets > 1000)
        usage("more than 1000 buckets");
    for (const auto* name : reader.operands())
        opt.queues.emplace_back(name);
    return mta::qshape::run(std::move(opt), stdout);
} catch (const std::exception& trouble) {
    std::fprintf(stderr, "qshape: fatal: %s\n", trouble.what());
    return 1;
}
