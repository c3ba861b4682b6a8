#include <algorithm>

#include <mta/config/build_defaults.hpp>
#include <mta/core/text.hpp>

#include "postconf.hpp"

namespace mta::postconf {
namespace {

constexpr std::size_t line_limit = 80;

bool name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct wanted_classes {
    bool builtin = false;
    bool service = false;
    bool user = false;
};

wanted_classes parse_classes(const options& opt, config::command_log& log) {
    wanted_classes out;
    for (const auto word : split(opt.classes, ", \t")) {
        const bool all = iequals(word, "all");
        if (!all && !iequals(word, "builtin") && !iequals(word, "service") && !iequals(word, "user"))
            log.fatal("unknown -C option value \"" + std::string(word) + "\" in \"" + opt.classes + "\"");
        out.builtin = out.builtin || all || iequals(word, "builtin");
        out.service = out.service || all || iequals(word, "service");
        out.user = out.user || all || iequals(word, "user");
    }
    return out;
}

class lister {
public:
    lister(const options& opt, const configuration& cfg, config::command_log& log) : opt_(opt), cfg_(cfg), log_(log) {}

    void print(std::string_view name) {
        std::string value;
        const auto& source = opt_.has('d') ? defaults_ : cfg_;
        if (opt_.has('n') && !cfg_.is_set(name))
            return;
        value = source.unexpanded(name).value_or("");
        const auto row = config::find_parameter(name);
        const bool raw = row && config::parameters()[*row].type == config::kind::raw;
        if (opt_.has('x') && !raw) {
            auto expanded = cfg_.expand(value);
            if (!expanded) {
                log_.warning(expanded.error().text());
                log_.fatal("macro processing error");
            }
            value = std::move(*expanded);
        }
        print_value(stdout, opt_, name, value);
    }

    // With -d a name has a value only if it is built in or a service's.
    void use_defaults(configuration defaults) { defaults_ = std::move(defaults); }

private:
    const options& opt_;
    const configuration& cfg_;
    config::command_log& log_;
    configuration defaults_ = cfg_;
};

} // namespace

std::vector<std::string> references(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = text.find('$', at)) != std::string_view::npos;) {
        ++at;
        if (at < text.size() && text[at] == '$') {
            ++at;
            continue;
        }
        if (at < text.size() && (text[at] == '{' || text[at] == '('))
            ++at;
        while (at < text.size() && text[at] == ' ')
            ++at;
        auto end = at;
        while (end < text.size() && name_character(text[end]))
            ++end;
        if (end > at)
            out.emplace_back(text.substr(at, end - at));
    }
    return out;
}

void print_value(std::FILE* out, const options& opt, std::string_view name, std::string_view value) {
    std::string line;
    if (!opt.has('h'))
        line = name;
    if (!opt.has('h') && !opt.has('H'))
        line += " =";
    std::size_t width = line.size();
    bool first = opt.has('h');
    if (!opt.has('H'))
        for (const auto word : split(value, white_space)) {
            if (opt.has('f') && !first && width + 1 + word.size() > line_limit) {
                line += "\n    ";
                width = 4;
            } else if (!first) {
                line += ' ';
                ++width;
            }
            line += word;
            width += word.size();
            first = false;
        }
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), out);
}

survey::survey(const configuration& cfg, std::vector<config::service_line> services)
    : cfg_(cfg), services_(std::move(services)) {
    add_service_names();
    for (const auto& name : cfg_[param::smtpd_restriction_classes])
        if (cfg_.is_set(name))
            user_names_.insert(name);
    for (const auto& entry : cfg_.settings())
        if (is_builtin(entry.name) || is_service(entry.name) || is_user(entry.name))
            mark(entry.value);
    for (const auto& line : services_)
        for (const auto& setting : line.settings)
            mark(setting.second);
}

void survey::add_service_names() {
    constexpr std::string_view transports[] = {"error", "lmtp", "local", "pipe", "smtp", "virtual"};
    for (const auto& line : services_) {
        if (line.type != config::service_type::local)
            continue;
        const bool transport = std::find(std::begin(transports), std::end(transports), line.program) !=
                               std::end(transports);
        const bool timed = line.program == "pipe" || line.program == "spawn";
        for (const auto& family : config::parameter_families()) {
            const auto name = line.name + std::string(family.name);
            const bool wanted = family.name == "_time_limit" ? timed : transport;
            if (wanted)
                service_names_.insert(name);
        }
    }
}

// The user's own names that a value refers to, and what their values refer to.
void survey::mark(std::string_view value) {
    for (const auto& name : references(value))
        if (!is_builtin(name) && !is_service(name) && cfg_.is_set(name) && user_names_.insert(name).second)
            mark(*cfg_.unexpanded(name));
    // A table of a database server may have its settings in main.cf, as NAME_user and so on.
    for (const auto word : split(value, ", \t\r\n")) {
        const auto colon = word.find(':');
        const auto type = word.substr(0, colon);
        if (type != "ldap" && type != "mysql" && type != "pgsql" && type != "sqlite")
            continue;
        const auto table = word.substr(colon + 1);
        if (table.empty() || table.front() == '/' || table.front() == '.')
            continue;
        const auto prefix = std::string(table) + "_";
        for (const auto& entry : cfg_.settings())
            if (entry.name.starts_with(prefix) && !is_builtin(entry.name))
                user_names_.insert(std::string(entry.name));
    }
}

void survey::warn(config::command_log& log, unused_in_main unused) const {
    const auto main_path = cfg_.directory() + "/main.cf";
    const auto master_path = cfg_.directory() + "/master.cf";
    const auto known = [&](const std::string& name) {
        return is_builtin(name) || is_service(name) || cfg_.is_set(name);
    };
    std::set<std::string> told;
    const auto undefined = [&](const std::string& path, const std::string& name) {
        if (told.insert(path + name).second)
            log.warning(path + ": undefined parameter: " + name);
    };
    for (const auto& name : cfg_[param::smtpd_restriction_classes])
        if (!known(name))
            undefined(main_path, name);
    for (const auto& entry : cfg_.settings()) {
        const auto row = config::find_parameter(entry.name);
        const bool raw = row && config::parameters()[*row].type == config::kind::raw;
        if (!raw && (row || is_service(entry.name) || is_user(entry.name)))
            for (const auto& name : references(entry.value))
                if (!known(name))
                    undefined(main_path, name);
        if (unused == unused_in_main::told && !row && !is_service(entry.name) && !is_user(entry.name) && entry.line != 0)
            log.warning(main_path + ": unused parameter: " + std::string(entry.name) + "=" + std::string(entry.value));
    }
    for (const auto& line : services_) {
        std::set<std::string> used;
        for (const auto& setting : line.settings)
            for (const auto& name : references(setting.second)) {
                used.insert(name);
                const auto own = [&](const auto& other) { return other.first == name; };
                if (!known(name) && std::none_of(line.settings.begin(), line.settings.end(), own))
                    undefined(master_path, name);
            }
        for (const auto& [name, value] : line.settings)
            if (!is_builtin(name) && !is_service(name) && !is_user(name) && !used.contains(name) &&
                told.insert("unused " + name + "=" + value).second)
                log.warning(master_path + ": unused parameter: " + name + "=" + value);
    }
}

int list_parameters(const options& opt, config::command_log& log) {
    const auto classes = parse_classes(opt, log);
    const auto cfg = opt.has('d') ? result<configuration>(configuration::defaults(opt.directory))
                                  : configuration::load(opt.directory, opt.settings);
    if (!cfg)
        log.fatal(cfg.error());
    for (const auto& line : cfg->warnings())
        log.warning(line);
    auto services = config::load_master(*cfg);
    // Only a listing of everything needs master.cf; a name works without.
    if (!services && services.error().code != std::errc::no_such_file_or_directory)
        log.fatal(services.error());
    const survey seen(*cfg, services ? std::move(*services) : std::vector<config::service_line>());
    lister out(opt, *cfg, log);
    if (opt.has('d'))
        out.use_defaults(configuration::defaults(std::string(config::build::config_directory)));
    if (!opt.words.empty()) {
        for (const auto& name : opt.words) {
            if (seen.is_builtin(name) || seen.is_service(name) || (!opt.has('d') && seen.is_user(name)))
                out.print(name);
            else
                log.warning(name + ": unknown parameter");
        }
    } else {
        std::set<std::string> names;
        if (classes.builtin)
            for (const auto& row : config::parameters())
                if (classes.service || !seen.is_service(row.name))
                    names.insert(std::string(row.name));
        if (classes.service)
            names.insert(seen.service_names().begin(), seen.service_names().end());
        if (classes.user && !opt.has('d'))
            names.insert(seen.user_names().begin(), seen.user_names().end());
        for (const auto& name : names)
            out.print(name);
    }
    if (!opt.has('d')) {
        std::fflush(stdout);
        seen.warn(log);
    }
    return 0;
}

} // namespace mta::postconf
