#include <algorithm>

#include <mta/config/edit.hpp>
#include <mta/config/file_edit.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/pieces.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

#include "postconf.hpp"

namespace mta::postconf {
namespace {

void check_word(const std::string& word, config::command_log& log) {
    if (word.find('\n') != std::string::npos)
        log.fatal("-e, -X, or -# accepts no multi-line input");
    if (trim(word).starts_with('#'))
        log.fatal("-e, -X, or -# accepts no comment input");
}

config::edit parse_edit(const options& opt, const std::string& word, config::command_log& log) {
    check_word(word, log);
    if (opt.has('e')) {
        const auto setting = config::split_name_value(word);
        if (!setting)
            log.fatal(setting.error().detail);
        return {config::edit_action::set, std::string(setting->name), std::string(setting->value)};
    }
    if (trim(word).empty())
        log.fatal("-X or -# requires non-blank parameter names");
    if (word.find('=') != std::string::npos)
        log.fatal("-X or -# requires parameter names without value");
    return {opt.has('X') ? config::edit_action::remove : config::edit_action::comment, word, {}};
}

// Of several requests for one name the last counts.
std::vector<config::edit> parse_edits(const options& opt, config::command_log& log) {
    std::vector<config::edit> out;
    for (const auto& word : opt.words) {
        auto change = parse_edit(opt, word, log);
        const auto same = std::find_if(out.begin(), out.end(), [&](const auto& one) { return one.name == change.name; });
        if (same == out.end()) {
            out.push_back(std::move(change));
            continue;
        }
        if (opt.has('e'))
            log.warning("ignoring earlier request: '" + same->name + " = " + same->value + "'");
        *same = std::move(change);
    }
    return out;
}

void warn_about_repeated(std::string_view text, const std::string& path, const std::vector<config::edit>& edits,
                         config::command_log& log) {
    const auto before = config::parse_main(text, path);
    if (!before)
        return; // the edit says what is wrong
    for (const auto& change : edits)
        if (std::count_if(before->settings.begin(), before->settings.end(),
                          [&](const auto& entry) { return entry.name == change.name; }) > 1)
            log.warning(path + ": multiple entries for \"" + change.name + '"');
}

void edit_file(const std::string& path, const std::vector<config::edit>& edits, config::command_log& log) {
    auto file = config::file_edit::begin(path);
    if (!file)
        log.fatal(file.error());
    const auto changed = config::edit_main(file->text(), edits, path);
    if (!changed)
        log.fatal(changed.error());
    warn_about_repeated(file->text(), path, edits, log);
    if (const auto done = file->commit(*changed); !done)
        log.fatal(done.error());
}

// The pieces of main.cf; none when main.cf cannot be read, which the edit then says.
std::vector<std::string> files_of(const options& opt, config::command_log& log) {
    const auto cfg = configuration::load(opt.directory);
    if (!cfg || (*cfg)[param::mtad_main_cf_directory].empty())
        return {};
    auto paths = config::piece_files(*cfg, (*cfg)[param::mtad_main_cf_directory]);
    if (!paths)
        log.fatal(paths.error());
    return std::move(*paths);
}

// The pieces that set the name, in their order.
std::vector<std::string> homes_of(const config::edit& change, const std::vector<std::string>& pieces,
                                  config::command_log& log) {
    std::vector<std::string> out;
    for (const auto& path : pieces) {
        const auto text = read_file(path);
        if (!text)
            log.fatal(text.error());
        const auto file = config::parse_main(*text, path);
        if (file && std::any_of(file->settings.begin(), file->settings.end(),
                                [&](const auto& entry) { return entry.name == change.name; }))
            out.push_back(path);
    }
    return out;
}

} // namespace

int edit_parameters(const options& opt, config::command_log& log) {
    if (opt.words.empty())
        log.fatal(opt.has('e') ? "-e requires name=value argument" : "missing service argument");
    const auto edits = parse_edits(opt, log);
    const auto main = opt.directory + "/main.cf";
    const auto pieces = files_of(opt, log);
    std::vector<config::edit> rest;
    for (const auto& change : edits) {
        auto homes = homes_of(change, pieces, log);
        if (change.action == config::edit_action::set && !homes.empty())
            homes.erase(homes.begin(), homes.end() - 1); // where it is set last
        for (const auto& path : homes)
            edit_file(path, {change}, log);
        if (homes.empty() || change.action != config::edit_action::set)
            rest.push_back(change);
    }
    if (!rest.empty())
        edit_file(main, rest, log);
    return 0;
}

} // namespace mta::postconf
