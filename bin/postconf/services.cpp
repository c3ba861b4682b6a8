#include <algorithm>
#include <array>

#include <mta/core/text.hpp>

#include "postconf.hpp"

namespace mta::postconf {
namespace {

constexpr std::array<std::size_t, 8> columns{0, 11, 17, 25, 33, 41, 49, 57};
constexpr std::array<const char*, 8> field_names{"service", "type",   "private",       "unprivileged",
                                                 "chroot",  "wakeup", "process_limit", "command"};

bool has_blanks(const std::string& word) {
    return word.find_first_of(" \t") != std::string::npos;
}

struct argument {
    std::string text; // "-o name=value" is one
    bool option;
};

// The arguments as they are written. The first operand loses its braces, as in the reference.
std::vector<argument> written_arguments(const config::service_line& line) {
    std::vector<argument> out;
    const auto braced = [](const std::string& word) { return has_blanks(word) ? "{" + word + "}" : word; };
    bool operands = false;
    for (std::size_t i = 0; i < line.args.size(); ++i) {
        const auto& word = line.args[i];
        const bool option = !operands && word.size() > 1 && word.front() == '-';
        if (option && word == "-o" && i + 1 < line.args.size())
            out.push_back({word + " " + braced(line.args[++i]), true});
        else
            out.push_back({operands ? braced(word) : word, option});
        operands = operands || !option;
    }
    return out;
}

std::string command_text(const config::service_line& line) {
    std::string out = line.program;
    for (const auto& word : written_arguments(line))
        out += " " + word.text;
    return out;
}

void append_arguments(std::string& out, std::size_t width, const config::service_line& line, bool fold) {
    bool after_option = false;
    for (const auto& word : written_arguments(line)) {
        if (fold && (word.option || after_option || width + 1 + word.text.size() >= 80)) {
            out += "\n    ";
            width = 4;
        } else {
            out += ' ';
            ++width;
        }
        out += word.text;
        width += word.text.size();
        after_option = word.option;
    }
}

void print_line(const options& opt, const config::service_line& line) {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i > 0)
            out.append(out.size() < columns[i] ? columns[i] - out.size() : 1, ' ');
        out += line.fields[i];
    }
    const auto width = out.size();
    append_arguments(out, width, line, opt.has('f'));
    std::printf("%s\n", out.c_str());
}

void print_fields(const options& opt, const config::service_line& line, std::string_view wanted) {
    const auto prefix = line.name + "/" + line.fields[1] + "/";
    for (std::size_t i = 0; i < field_names.size(); ++i)
        if (wanted == "*" || wanted == field_names[i])
            print_value(stdout, opt, prefix + field_names[i], i == 7 ? command_text(line) : line.fields[i]);
}

void print_settings(const options& opt, const configuration& cfg, const config::service_line& line,
                    std::string_view wanted) {
    const auto prefix = line.name + "/" + line.fields[1] + "/";
    auto extra = line.settings;
    extra.emplace_back("service_name", line.name);
    const auto own = cfg.with_overrides(extra);
    auto sorted = line.settings;
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        const auto& [name, value] = sorted[i];
        if ((wanted != "*" && wanted != name) || (i + 1 < sorted.size() && sorted[i + 1].first == name))
            continue;
        print_value(stdout, opt, prefix + name, opt.has('x') ? own.expand(value).value_or(value) : value);
    }
}

struct request {
    std::string_view service = "*";
    std::string_view type = "*";
    std::string_view item = "*";
};

// NAME/TYPE/ITEM; an inet service may have no slash in its name, so plain splitting is enough.
request parse_request(std::string_view word) {
    request out;
    const auto first = word.find('/');
    out.service = word.substr(0, first);
    if (first == std::string_view::npos)
        return out;
    word.remove_prefix(first + 1);
    const auto second = word.find('/');
    out.type = word.substr(0, second);
    if (second != std::string_view::npos)
        out.item = word.substr(second + 1);
    return out;
}

bool matches(std::string_view pattern, std::string_view text) {
    return pattern == "*" || pattern == text;
}

} // namespace

int list_services(const options& opt, config::command_log& log) {
    const auto cfg = configuration::load(opt.directory, opt.settings);
    if (!cfg)
        log.fatal(cfg.error());
    for (const auto& line : cfg->warnings())
        log.warning(line);
    auto services = config::load_master(*cfg);
    if (!services)
        log.fatal(services.error());
    const survey seen(*cfg, std::move(*services));
    auto words = opt.words;
    if (words.empty())
        words.emplace_back("*");
    for (const auto& word : words) {
        const auto want = parse_request(word);
        bool found = false;
        for (const auto& line : seen.services()) {
            if (!matches(want.service, line.name) || !matches(want.type, line.fields[1]))
                continue;
            found = true;
            if (opt.has('M'))
                print_line(opt, line);
            else if (opt.has('F'))
                print_fields(opt, line, want.item);
            else
                print_settings(opt, *cfg, line, want.item);
        }
        if (!found && !opt.words.empty())
            log.warning("unmatched request: \"" + word + "\"");
    }
    std::fflush(stdout);
    seen.warn(log, survey::unused_in_main::not_told);
    return 0;
}

} // namespace mta::postconf
