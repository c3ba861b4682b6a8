// postconf: shows and changes the configuration.
#include <cstdio>
#include <optional>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>
#include <mta/config/values.hpp>
#include <mta/core/argv.hpp>
#include <mta/table/registry.hpp>

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
  postconf -M [NAME[/TYPE]]   services of master.cf
  postconf -F [NAME[/TYPE[/FIELD]]]      their fields
  postconf -P [NAME[/TYPE[/PARAMETER]]]  their own parameters
  postconf -m | -l            table types, lock styles
  -c DIRECTORY                use the main.cf and master.cf there
)";

constexpr const char* usage = "usage: postconf [-c config_dir] [-C param_class] [-d] [-e] [-f] [-F] [-h] [-H] [-l] [-m] "
                              "[-M] [-n] [-o name=value] [-p] [-P] [-v] [-x] [-X] [-#] [name...]";

int postconf_main(int argc, char** argv) {
    const std::string program(mta::config::program_name(argv[0]));
    mta::config::command_log log(program);
    mta::postconf::options opt;
    const std::span<const char* const> args(argv + 1, static_cast<std::size_t>(argc - 1));
    mta::option_reader reader(args, "aAbc:C:deEfFhHlmMno:pPtT:vxX#", program);
    std::optional<std::string_view> directory;
    while (const auto option = reader.next()) {
        if (option->letter == '-')
            return mta::config::long_option(option->value, program, help);
        if (option->letter == '?')
            log.fatal(usage);
        opt.letters.insert(option->letter);
        if (option->letter == 'c')
            directory = option->value;
        else if (option->letter == 'C')
            opt.classes = option->value;
        else if (option->letter == 'o') {
            const auto setting = mta::config::split_name_value(option->value);
            if (!setting)
                log.fatal(setting.error());
            opt.settings.emplace_back(setting->name, setting->value);
        }
    }
    opt.words.assign(reader.operands().begin(), reader.operands().end());
    for (const char letter : {'a', 'A', 'b', 't', 'T'})
        if (opt.has(letter))
            log.fatal(std::string("option -") + letter + " is not there yet");
    if (opt.has('d') && opt.has('n'))
        log.fatal("specify one of -d -n");
    if (opt.has('l')) {
        std::puts("flock\nfcntl\ndotlock");
        return 0;
    }
    if (opt.has('m')) {
        for (const auto& name : mta::table::type_names())
            std::puts(name.c_str());
        return 0;
    }
    auto where = mta::config::find_directory(directory);
    if (!where)
        log.fatal(where.error());
    opt.directory = where->directory;
    opt.chosen_directory = where->chosen;
    const bool services = opt.has('M') || opt.has('F') || opt.has('P');
    bool editing = opt.has('e') || opt.has('X') || opt.has('#');
    if (opt.has('e') + opt.has('X') + opt.has('#') > 1)
        log.fatal("specify one of -e -X -#");
    const bool value_given = !opt.words.empty() && opt.words.front().find('=') != std::string::npos;
    if (editing || value_given) {
        if ((opt.has('X') || opt.has('#')) && value_given && !services)
            log.fatal("specify one of -e -X");
        if (services)
            log.fatal("editing master.cf is not there yet");
        return mta::postconf::edit_parameters(opt, log);
    }
    return services ? mta::postconf::list_services(opt, log) : mta::postconf::list_parameters(opt, log);
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
