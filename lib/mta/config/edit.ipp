// Bodies of edit.hpp.
#include <mta/config/edit.hpp>

#include <algorithm>
#include <vector>

#include <mta/config/main_cf.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

inline void put_setting(std::string& out, const edit& change) {
    out += change.name + " = " + change.value + '\n';
}

// The lines of one entry: changed ones are dropped or get a # in front, comments and empty lines among them stay.
inline void put_entry(std::string& out, std::string_view lines, edit_action action) {
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size() - 1) + 1;
        const auto word = lines.find_first_not_of(white_space);
        const bool kept = word >= end || lines[word] == '#';
        if (!kept && action == edit_action::comment)
            out += '#';
        if (kept || action == edit_action::comment)
            out += lines.substr(0, end);
        lines.remove_prefix(end);
    }
}

} // namespace detail

result<std::string> edit_main(std::string_view text, std::span<const edit> edits, std::string_view path) {
    std::vector<bool> done(edits.size(), false);
    std::string out;
    logical_line line;
    std::size_t at = 0;
    std::size_t copied = 0;
    for (int number = 0; next_logical_line(text, at, number, line);) {
        if (begins_blank(line))
            continue;
        const auto setting = split_name_value(line.text);
        if (!setting)
            return fail(setting.error().code, std::string(path) + ", line " + std::to_string(line.first) + ": " +
                                                  setting.error().detail);
        const auto which = std::find_if(edits.rbegin(), edits.rend(),
                                        [&](const edit& change) { return change.name == setting->name; });
        if (which == edits.rend())
            continue;
        const auto place = static_cast<std::size_t>(edits.rend() - which - 1);
        if (which->action == edit_action::set && setting->value == which->value) {
            done[place] = true; // says so already
            continue;
        }
        out += text.substr(copied, line.begin - copied);
        copied = line.end;
        if (which->action == edit_action::set)
            detail::put_setting(out, *which);
        detail::put_entry(out, text.substr(line.begin, line.end - line.begin), which->action);
        if (!out.empty() && out.back() != '\n')
            out += '\n';
        done[place] = true;
    }
    out += text.substr(copied);
    if (!out.empty() && out.back() != '\n')
        out += '\n';
    for (std::size_t i = 0; i < edits.size(); ++i) {
        const bool repeated = std::any_of(edits.begin() + static_cast<std::ptrdiff_t>(i) + 1, edits.end(),
                                          [&](const edit& later) { return later.name == edits[i].name; });
        if (edits[i].action == edit_action::set && !done[i] && !repeated)
            detail::put_setting(out, edits[i]);
    }
    return out;
}

} // namespace mta::config
