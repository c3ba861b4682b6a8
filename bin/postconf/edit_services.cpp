#include <algorithm>
#include <optional>

#include <mta/config/file_edit.hpp>
#include <mta/config/master.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

#include "postconf.hpp"

namespace mta::postconf {
namespace {

struct change {
    service_request want;
    std::string_view word;                      // as it was given
    std::string value;                          // -Fe, -Pe
    std::size_t column = 0;                     // -Fe
    std::optional<config::service_entry> entry; // -Me
    bool found = false;
};

class service_editor {
public:
    service_editor(const options& opt, config::command_log& log) : opt_(opt), log_(log) {
        for (const auto& word : opt.words)
            changes_.push_back(parse(word));
    }

    // Lines that no entry took come behind the last line of the file that is edited last.
    std::string edit(std::string_view text, const std::vector<config::service_entry>& services, bool append) {
        std::string out;
        std::size_t copied = 0;
        for (const auto& entry : services) {
            if (!is_wanted(entry))
                continue;
            out += text.substr(copied, entry.begin - copied);
            copied = entry.end;
            const auto lines = text.substr(entry.begin, entry.end - entry.begin);
            if (opt_.has('M'))
                edit_whole(entry, lines, out);
            else
                edit_part(entry, lines, out);
        }
        out += text.substr(copied);
        if (!out.empty() && out.back() != '\n')
            out += '\n';
        for (const auto& one : changes_)
            if (append && one.entry && !one.found)
                out += format(*one.entry);
        return out;
    }

    void warn_about_unmatched() const {
        if (!opt_.has('M'))
            for (const auto& one : changes_)
                if (!one.found)
                    log_.warning("unmatched service_name/type: \"" + std::string(one.word) + '"');
    }

private:
    change parse(const std::string& word) const {
        if (word.find('\n') != std::string::npos)
            log_.fatal("-Me, -Fe, -Pe, -X, or -# accept no multi-line input");
        if (trim(word).starts_with('#'))
            log_.fatal("-Me, -Fe, -Pe, -X, or -# accept no comment input");
        change out;
        out.word = word;
        std::string_view target = word;
        if (opt_.has('e')) {
            const auto setting = config::split_name_value(word);
            if (!setting)
                log_.fatal(setting.error().detail);
            target = setting->name;
            out.value = setting->value;
        } else if (word.find('=') != std::string::npos) {
            log_.fatal(opt_.has('X') ? "-X or -# requires names without value" : "-X or -# requires names without value");
        }
        out.want = parse_service_request(target);
        if (opt_.has('M'))
            parse_whole(out);
        else if (opt_.has('F'))
            parse_column(out);
        else
            parse_parameter(out);
        return out;
    }

    void parse_whole(change& out) const {
        if (out.want.parts != 2)
            log_.fatal("-Me, -MX or -M# requires service_name/type");
        if (!opt_.has('e'))
            return;
        auto entry = config::read_service(out.value);
        if (!entry && std::string_view(entry.error().detail).starts_with("bad field count"))
            log_.fatal("bad field count: \"" + std::string(out.word) + '"');
        if (!entry)
            log_.fatal(entry.error().detail);
        out.entry = std::move(*entry);
    }

    void parse_column(change& out) const {
        if (out.want.parts != 3)
            log_.fatal("-Fe or -FX requires service_name/type/field_name");
        if (out.want.item == "*")
            log_.fatal("-Fe does not accept wild-card field name");
        const auto& names = config::service_columns;
        out.column = static_cast<std::size_t>(std::find(names.begin(), names.end(), out.want.item) - names.begin());
        if (out.column == names.size())
            log_.fatal("invalid service attribute name: \"" + std::string(out.want.item) + '"');
        const bool command = out.column + 1 == names.size();
        if (!command && out.value.find_first_of(white_space) != std::string::npos)
            log_.fatal("-Fe does not accept whitespace in non-command field");
        if (const auto good = config::check_column(out.column, out.value); !good)
            log_.fatal(good.error().detail);
    }

    void parse_parameter(const change& out) const {
        if (out.want.parts != 3)
            log_.fatal("-Pe or -PX requires service_name/type/parameter");
        if (out.want.item == "*")
            log_.fatal("-Pe does not accept wild-card parameter name");
        if (out.value.find_first_of(white_space) != std::string::npos)
            log_.fatal("-Pe does not accept whitespace in parameter value");
    }

    [[nodiscard]] bool is_wanted(const config::service_entry& entry) const {
        return std::any_of(changes_.begin(), changes_.end(),
                           [&](const change& one) { return one.want.matches(entry.name(), entry.type()); });
    }

    static std::string format(const config::service_entry& entry) {
        return config::format_service(entry, config::service_layout::folded) + '\n';
    }

    // Comments and empty lines within the entry stay; #comments the entry's own lines.
    static void put_lines(std::string& out, std::string_view lines, std::string_view before_entry, bool keep_entry) {
        while (!lines.empty()) {
            const auto end = std::min(lines.find('\n'), lines.size() - 1) + 1;
            const auto word = lines.find_first_not_of(white_space);
            const bool comment = word >= end || lines[word] == '#';
            if (!comment && keep_entry)
                out += before_entry;
            if (comment || keep_entry)
                out += lines.substr(0, end);
            lines.remove_prefix(end);
        }
        if (!out.empty() && out.back() != '\n')
            out += '\n';
    }

    void edit_whole(const config::service_entry& entry, std::string_view lines, std::string& out) {
        change* last = nullptr;
        bool first = true;
        for (auto& one : changes_)
            if (one.want.matches(entry.name(), entry.type())) {
                last = &one;
                first = !one.found;
                one.found = true;
            }
        put_lines(out, lines, "#", opt_.has('#'));
        if (last->entry && first) // the line takes the place of the first; more of that name go
            out += format(*last->entry);
    }

    void edit_part(const config::service_entry& entry, std::string_view lines, std::string& out) {
        auto copy = entry;
        for (auto& one : changes_) {
            if (!one.want.matches(entry.name(), entry.type()))
                continue;
            one.found = true;
            if (opt_.has('F')) {
                if (const auto done = config::set_column(copy, one.column, one.value); !done)
                    log_.fatal(done.error().detail);
            } else if (opt_.has('X')) {
                (void)config::remove_parameter(copy, one.want.item);
            } else {
                config::set_parameter(copy, std::string(one.want.item), one.value);
            }
        }
        if (copy.words == entry.words) { // as it was: not even its layout changes
            put_lines(out, lines, {}, true);
            return;
        }
        put_lines(out, lines, {}, false);
        out += format(copy);
    }

    const options& opt_;
    config::command_log& log_;
    std::vector<change> changes_;
};

} // namespace

int edit_services(const options& opt, config::command_log& log) {
    if (opt.words.empty())
        log.fatal(opt.has('e') ? "-e requires name=value argument" : "missing service argument");
    service_editor editor(opt, log);
    const auto cfg = configuration::load(opt.directory);
    auto paths = config::master_files(cfg ? *cfg : configuration::defaults(opt.directory));
    if (!paths)
        log.fatal(paths.error());
    std::reverse(paths->begin(), paths->end()); // master.cf itself takes what is new
    for (const auto& path : *paths) {
        auto file = config::file_edit::begin(path);
        if (!file)
            log.fatal(file.error());
        const auto services = config::read_services(file->text(), path);
        if (!services)
            log.fatal(services.error());
        const auto changed = editor.edit(file->text(), *services, path == paths->back());
        if (const auto done = file->commit(changed); !done)
            log.fatal(done.error());
    }
    editor.warn_about_unmatched();
    return 0;
}

} // namespace mta::postconf
