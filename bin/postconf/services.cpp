#include <algorithm>

#include <mta/core/text.hpp>

#include "names.hpp"
#include "postconf.hpp"
#include "print.hpp"

namespace mta::postconf {
namespace {

class service_lister {
public:
    service_lister(const options& opt, const configuration& cfg, const std::vector<config::service_entry>& services,
                   const name_survey& seen, config::command_log& log)
        : opt_(opt), cfg_(cfg), services_(services), seen_(seen), log_(log) {}

    // Whether there was anything to print.
    bool print(const config::service_entry& entry, const service_request& want) const {
        if (opt_.has('M'))
            print_entry(entry);
        else if (opt_.has('F'))
            print_columns(entry, want.item);
        else
            return print_settings(entry, want.item);
        return true;
    }

private:
    // What the service's values are expanded with.
    [[nodiscard]] configuration scope_of(const config::service_entry& entry) const {
        const auto& settings = seen_.scope(entry).settings;
        config::overrides extra(settings.begin(), settings.end());
        extra.emplace_back("service_name", entry.name());
        extra.emplace_back("process_name", entry.program());
        return cfg_.with_overrides(extra);
    }

    [[nodiscard]] config::service_entry shown(const config::service_entry& entry) const {
        auto out = entry;
        if (opt_.has('x') && !entry.settings.empty()) {
            const auto scope = scope_of(entry);
            config::replace_values(out, [&](std::string_view value) { return expanded(scope, value, log_); });
        }
        return out;
    }

    [[nodiscard]] std::string origin_of(const config::service_entry& entry) const {
        return opt_.origin ? entry.file + ":" + std::to_string(entry.line) : std::string();
    }

    void print_entry(const config::service_entry& entry) const {
        const auto layout = opt_.has('f') ? config::service_layout::folded : config::service_layout::one_line;
        const auto text = config::format_service(shown(entry), layout);
        const auto origin = origin_of(entry);
        if (opt_.json)
            print_value(stdout, opt_, entry.name() + '/' + entry.type(), text, origin);
        else
            print_line(stdout, origin.empty() ? text : origin + ": " + text);
    }

    void print_columns(const config::service_entry& entry, std::string_view wanted) const {
        const auto prefix = entry.name() + '/' + entry.type() + '/';
        const auto copy = shown(entry);
        for (std::size_t i = 0; i < config::service_columns.size(); ++i) {
            const auto column = config::service_columns[i];
            if (wanted == "*" || wanted == column)
                print_text(stdout, opt_, prefix + std::string(column),
                           i + 1 == config::service_columns.size() ? config::format_command(copy) : copy.words[i],
                           origin_of(entry));
        }
    }

    bool print_settings(const config::service_entry& entry, std::string_view wanted) const {
        const auto prefix = entry.name() + '/' + entry.type() + '/';
        bool found = false;
        if (!has_settings_so_far(entry)) // a later line of that name and type shows them
            return false;
        for (const auto& [name, value] : seen_.scope(entry).settings) {
            if (wanted != "*" && wanted != name)
                continue;
            found = true;
            print_value(stdout, opt_, prefix + name,
                        opt_.has('x') ? expanded(scope_of(entry), value, log_) : value, origin_of(entry));
        }
        return found;
    }

    [[nodiscard]] bool has_settings_so_far(const config::service_entry& entry) const {
        return std::any_of(services_.begin(), services_.end(), [&](const config::service_entry& other) {
            return &other <= &entry && !other.settings.empty() && other.name() == entry.name() &&
                   other.type() == entry.type();
        });
    }

    const options& opt_;
    const configuration& cfg_;
    const std::vector<config::service_entry>& services_;
    const name_survey& seen_;
    config::command_log& log_;
};

std::vector<service_request> parse_requests(const options& opt, config::command_log& log) {
    std::vector<service_request> out;
    for (const auto& word : opt.words) {
        out.push_back(parse_service_request(word));
        const auto& want = out.back();
        const int most = opt.has('M') ? 2 : 3;
        if (want.parts < 1 || want.parts > most)
            log.fatal(opt.has('M')   ? "-M option requires service_name[/type]"
                      : opt.has('F') ? "-F option requires service_name[/type[/field]]"
                                     : "-P option requires service_name[/type[/parameter]]");
        if (opt.has('F') && want.item != "*" &&
            std::find(config::service_columns.begin(), config::service_columns.end(), want.item) ==
                config::service_columns.end())
            log.fatal("invalid service attribute name: \"" + std::string(want.item) + '"');
    }
    return out;
}

} // namespace

// Slashes with nothing between them separate nothing.
service_request parse_service_request(std::string_view word) {
    service_request out;
    const auto parts = split(word, "/");
    out.parts = static_cast<int>(parts.size());
    if (!parts.empty())
        out.name = parts[0];
    if (parts.size() > 1)
        out.type = parts[1];
    if (parts.size() > 2)
        out.item = parts[2];
    return out;
}

int list_services(const options& opt, config::command_log& log) {
    const auto cfg = configuration::load(opt.directory, opt.settings);
    if (!cfg) { // master.cf is what was asked for: its absence is told first
        (void)load_services(configuration::defaults(opt.directory), missing_file::fatal, log);
        log.fatal(cfg.error());
    }
    const auto services = load_services(*cfg, missing_file::fatal, log);
    const name_survey seen(*cfg, services);
    if (!opt.quiet) {
        print_warnings(cfg->warnings(), log);
        print_warnings(seen.warnings(), log);
    }
    if (seen.broken())
        log.fatal("macro processing error");
    const auto requests = parse_requests(opt, log);
    const service_lister out(opt, *cfg, services, seen, log);
    std::vector<bool> found(requests.size(), false);
    for (const auto& entry : services) {
        if (requests.empty())
            (void)out.print(entry, {});
        for (std::size_t i = 0; i < requests.size(); ++i)
            if (requests[i].matches(entry.name(), entry.type()) && out.print(entry, requests[i]))
                found[i] = true;
    }
    std::fflush(stdout);
    for (std::size_t i = 0; i < requests.size(); ++i)
        if (!found[i])
            log.warning("unmatched request: \"" + opt.words[i] + '"');
    if (!opt.quiet)
        print_warnings(seen.unused_in_services(), log);
    return 0;
}

} // namespace mta::postconf
