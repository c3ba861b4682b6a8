#include <sys/stat.h>

#include <algorithm>

#include <mta/config/main_cf.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>

#include "postconf.hpp"

namespace mta::postconf {

int edit_parameters(const options& opt, config::command_log& log) {
    std::vector<config::edit> edits;
    const bool set = !opt.has('X') && !opt.has('#');
    if (opt.words.empty())
        log.fatal(set ? "-e requires name=value argument"
                      : opt.has('X') ? "-X requires name argument" : "-# requires name argument");
    for (const auto& word : opt.words) {
        if (!set) {
            if (word.find('=') != std::string::npos)
                log.fatal(opt.has('X') ? "-X requires names without value" : "-# requires names without value");
            edits.push_back({opt.has('X') ? config::edit_action::remove : config::edit_action::comment, word, {}});
            continue;
        }
        if (word.find('\n') != std::string::npos)
            log.fatal("-e, -X, or -# accepts no multi-line input");
        const auto setting = config::split_name_value(word);
        if (!setting)
            log.fatal(setting.error());
        edits.push_back({config::edit_action::set, std::string(setting->name), std::string(setting->value)});
    }
    const auto path = opt.directory + "/main.cf";
    const auto text = read_file(path);
    if (!text)
        log.fatal(text.error());
    const auto changed = config::edit_main(*text, edits, path);
    if (!changed)
        log.fatal(changed.error());
    if (const auto before = config::parse_main(*text, path)) {
        for (const auto& change : edits) {
            const auto entries = std::count_if(before->settings.begin(), before->settings.end(),
                                               [&](const auto& entry) { return entry.name == change.name; });
            if (entries > 1)
                log.warning(path + ": multiple entries for \"" + change.name + '"');
        }
    }
    struct stat info {};
    if (stat(path.c_str(), &info) != 0)
        log.fatal(error{std::error_code(errno, std::generic_category()), "stat " + path});
    const file_owner owner{info.st_uid, info.st_gid};
    if (const auto done = replace_file(path, *changed, info.st_mode & 07777U, owner); !done)
        log.fatal(done.error());
    return 0;
}

} // namespace mta::postconf
