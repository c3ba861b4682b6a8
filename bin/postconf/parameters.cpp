#include <algorithm>
#include <iterator>

#include <mta/config/build_defaults.hpp>
#include <mta/config/master.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

#include "explain.hpp"
#include "names.hpp"
#include "postconf.hpp"
#include "print.hpp"

namespace mta::postconf {
namespace {

struct wanted_classes {
    bool builtin = false;
    bool service = false;
    bool user = false;
};

wanted_classes parse_classes(const options& opt) {
    wanted_classes out;
    for (const auto word : split(opt.classes, ", \t\r\n")) {
        const bool all = iequals(word, "all");
        out.builtin = out.builtin || all || iequals(word, "builtin");
        out.service = out.service || all || iequals(word, "service");
        out.user = out.user || all || iequals(word, "user");
    }
    return out;
}

class lister {
public:
    lister(const options& opt, const configuration& cfg, config::command_log& log)
        : opt_(opt), cfg_(cfg), log_(log),
          shown_(opt.has('d') ? configuration::defaults(std::string(config::build::config_directory)) : cfg) {}

    void print(std::string_view name) {
        if (opt_.has('n') && !cfg_.is_set(name))
            return;
        const auto value = shown_.unexpanded(name).value_or("");
        const auto row = config::find_parameter(name);
        const bool raw = row && config::parameters()[*row].type == config::kind::raw;
        const auto origin = opt_.origin ? origin_of(shown_, name) : std::string();
        print_value(stdout, opt_, name, opt_.has('x') && !raw ? expanded(cfg_, value, log_) : std::string(value), origin);
    }

private:
    const options& opt_;
    const configuration& cfg_; // for -x
    config::command_log& log_;
    configuration shown_;
};

void warn_about_unknown(const std::string& name, const name_survey& seen, config::command_log& log) {
    log.warning(name + ": unknown parameter");
    if (const auto near = nearest_name(name, seen); !near.empty())
        log.warning(name + ": did you mean " + near + "?");
}

void print_named(const options& opt, const name_survey& seen, lister& out, config::command_log& log) {
    for (const auto& name : opt.words) {
        if (name_survey::is_builtin(name) || seen.is_service(name) || (!opt.has('d') && seen.is_user(name)))
            out.print(name);
        else if (!opt.quiet)
            warn_about_unknown(name, seen, log);
    }
}

void print_all(const options& opt, const name_survey& seen, lister& out) {
    const auto classes = parse_classes(opt);
    std::vector<std::string_view> names;
    if (classes.builtin)
        for (const auto& row : config::parameters())
            if (!seen.is_service(row.name))
                names.push_back(row.name);
    if (classes.service)
        names.insert(names.end(), seen.service_names().begin(), seen.service_names().end());
    if (classes.user && !opt.has('d'))
        names.insert(names.end(), seen.user_names().begin(), seen.user_names().end());
    std::sort(names.begin(), names.end());
    for (const auto name : names)
        out.print(name);
}

} // namespace

std::vector<config::service_entry> load_services(const configuration& cfg, missing_file missing,
                                                 config::command_log& log) {
    std::vector<config::service_entry> out;
    const auto paths = config::master_files(cfg);
    if (!paths)
        log.fatal(paths.error());
    for (const auto& path : *paths) {
        const auto text = read_file(path);
        if (!text && missing == missing_file::fatal)
            log.fatal(text.error());
        if (!text) {
            log.warning(text.error().text());
            continue;
        }
        auto services = config::read_services(*text, path);
        if (!services)
            log.fatal(services.error());
        std::move(services->begin(), services->end(), std::back_inserter(out));
    }
    return out;
}

void print_warnings(const std::vector<std::string>& lines, config::command_log& log) {
    for (const auto& line : lines)
        log.warning(line);
}

int list_parameters(const options& opt, config::command_log& log) {
    const auto cfg = opt.has('d') ? result<configuration>(configuration::defaults(opt.directory))
                                  : configuration::load(opt.directory, opt.settings);
    if (!cfg)
        log.fatal(cfg.error());
    const auto services = load_services(*cfg, missing_file::warning, log);
    const name_survey seen(*cfg, services);
    if (!opt.has('d') && !opt.quiet) {
        print_warnings(cfg->warnings(), log);
        print_warnings(seen.warnings(), log);
    }
    if (!opt.has('d') && seen.broken())
        log.fatal("macro processing error");
    lister out(opt, *cfg, log);
    if (opt.words.empty())
        print_all(opt, seen, out);
    else
        print_named(opt, seen, out, log);
    std::fflush(stdout);
    if (!opt.has('d') && !opt.quiet) {
        print_warnings(seen.unused_in_main(), log);
        print_warnings(seen.unused_in_services(), log);
    }
    return 0;
}

} // namespace mta::postconf
