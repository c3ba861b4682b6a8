// postconf: shows and changes the configuration.
#include <cstdio>

#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>

#include "explain.hpp"
#include "postconf.hpp"

namespace {

constexpr std::string_view help = R"(usage: postconf [options] [NAME ...]

  postconf [NAME ...]         show parameters, all without a name
    -d   defaults             -n   only what main.cf sets
    -h   values only          -H   names only
    -x   expand $name         -f   fold long lines
    -C builtin,service,user   these classes of parameters only
    -o NAME=VALUE             as if main.cf said so
  postconf -e NAME=VALUE ...  change main.cf (-e may be left out)
  postconf -X NAME ...        remove from main.cf
  postconf -# NAME ...        comment out in main.cf
  postconf -M [NAME[/TYPE]]              services of master.cf
  postconf -F [NAME[/TYPE[/FIELD]]]      their fields
  postconf -P [NAME[/TYPE[/PARAMETER]]]  their own parameters
    -Me NAME/TYPE=LINE, -Fe NAME/TYPE/FIELD=VALUE, -Pe NAME/TYPE/PARAMETER=VALUE change them,
    -MX, -PX and -M# take away or comment out
  postconf -m | -l | -a | -A  table types, lock styles, SASL of the server, of the client
  postconf -T compile-version | run-version | public-key-algorithms
  postconf -b [FILE]          texts of notices, with values;  -t [FILE]  as templates
  -c DIRECTORY                use the main.cf and master.cf there
  postconf --explain NAME ... what a parameter is, where it is set, what it comes to and through which others
  postconf --check            look at both files and all that they name; status 1 for warnings, 2 for errors
  --origin                    file and line before each value
  --json, -j                  a JSON object a line
  -q                          no warnings about parameters
)";

int postconf_main(int argc, char** argv) {
    using namespace mta::postconf;
    const std::string program(mta::config::program_name(argv[0]));
    mta::config::command_log log(program);
    auto opt = read_options({argv + 1, static_cast<std::size_t>(argc - 1)}, log);
    if (!opt.long_words.empty())
        return mta::config::long_option(opt.long_words.front(), program, help);
    check_combination(opt, log);
    if (opt.has('l') || opt.has('a') || opt.has('A') || opt.has('m') || opt.has('T'))
        return show_capabilities(opt, log);
    const auto where = mta::config::find_directory(opt.directory_option);
    if (!where)
        log.fatal(where.error());
    opt.directory = where->directory;
    if (opt.check)
        return check(opt, log);
    if (opt.explain)
        return explain(opt, log);
    if (opt.has('b') || opt.has('t'))
        return show_templates(opt, log);
    const bool services = opt.has('M') || opt.has('F') || opt.has('P');
    if (opt.editing())
        return services ? edit_services(opt, log) : edit_parameters(opt, log);
    return services ? list_services(opt, log) : list_parameters(opt, log);
}

} // namespace

int main(int argc, char** argv) {
    try {
        return postconf_main(argc, argv);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "postconf: fatal: %s\n", problem.what());
        return 1;
    }
}
