#include "print.hpp"

#include <mta/core/json.hpp>
#include <mta/core/text.hpp>

namespace mta::postconf {
namespace {

constexpr std::size_t line_limit = 80;

void print_json(std::FILE* out, std::string_view name, std::string_view value, std::string_view origin = {}) {
    std::string line = "{";
    const auto put = [&](std::string_view key, std::string_view text) {
        append_json_name(line, printable(key));
        append_json_string(line, printable(text));
    };
    if (origin.empty()) {
        put(name, value);
    } else {
        put("name", name);
        put("value", value);
        put("origin", origin);
    }
    print_line(out, line + '}');
}

} // namespace

void print_line(std::FILE* out, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), out);
    std::fputc('\n', out);
}

void print_value(std::FILE* out, const options& opt, std::string_view name, std::string_view value,
                 std::string_view origin) {
    if (opt.json)
        return print_json(out, name, value, origin);
    std::string line;
    if (!origin.empty())
        line = std::string(origin) + ": ";
    if (!opt.has('h'))
        line += name;
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
    print_line(out, line);
}

void print_text(std::FILE* out, const options& opt, std::string_view name, std::string_view value,
                std::string_view origin) {
    if (opt.json)
        return print_json(out, name, value, origin);
    std::string line;
    if (!origin.empty())
        line = std::string(origin) + ": ";
    if (!opt.has('h'))
        line += name;
    if (!opt.has('h') && !opt.has('H'))
        line += " = ";
    if (!opt.has('H'))
        line += value;
    print_line(out, line);
}

std::string expanded(const configuration& cfg, std::string_view value, config::command_log& log) {
    auto out = cfg.expand(value);
    if (!out) {
        log.warning(out.error().detail);
        log.fatal("macro processing error");
    }
    return std::move(*out);
}

} // namespace mta::postconf
