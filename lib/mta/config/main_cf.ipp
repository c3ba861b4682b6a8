// Bodies of main_cf.hpp.
#include <mta/config/main_cf.hpp>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {

namespace detail {
inline bool blank(char c) noexcept { return white_space.find(c) != std::string_view::npos; }
} // namespace detail

bool next_logical_line(std::string_view text, std::size_t& at, int& line, logical_line& out) {
    out = {};
    bool started = false;
    while (at < text.size()) {
        const auto end = text.find('\n', at);
        const auto stop = end == std::string_view::npos ? text.size() : end;
        const auto next = end == std::string_view::npos ? text.size() : end + 1;
        auto piece = text.substr(at, stop - at);
        const auto word = piece.find_first_not_of(white_space);
        const bool skipped = word == std::string_view::npos || piece[word] == '#';
        if (started && !skipped && word == 0)
            break;
        ++line;
        if (!skipped) {
            if (!started) {
                out.first = line;
                out.begin = at;
            }
            started = true;
            out.last = line;
            out.end = next;
            out.text += piece;
        }
        at = next;
    }
    if (const auto nul = out.text.find('\0'); nul != std::string::npos)
        out.text.resize(nul);
    return started;
}

bool begins_blank(const logical_line& line) noexcept {
    return !line.text.empty() && detail::blank(line.text.front());
}

result<main_file> parse_main(std::string_view text, std::string_view path) {
    main_file out;
    out.settings.reserve(64);
    logical_line line;
    std::size_t at = 0;
    for (int number = 0; next_logical_line(text, at, number, line);) {
        if (begins_blank(line)) {
            out.warnings.push_back(std::string(path) + ": logical line must not start with whitespace: \"" + line.text +
                                   "\"");
            continue;
        }
        const auto setting = split_name_value(line.text);
        if (!setting)
            return fail(setting.error().code, std::string(path) + ", line " + std::to_string(line.first) + ": " +
                                                  setting.error().detail);
        out.settings.push_back({std::string(setting->name), std::string(setting->value), line.first});
    }
    return out;
}

} // namespace mta::config
