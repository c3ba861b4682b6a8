#include "options.hpp"

#include <mta/config/values.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/text.hpp>

namespace mta::postconf {
namespace {

constexpr const char* usage =
    "usage: postconf [-aAbdefFhHjlmMnpPqtvxX#] [-c config_dir] [-C class[,class...]] [-o name=value] "
    "[-T compile-version|run-version|public-key-algorithms] [name...]; postconf --help says more";

// In the order in which messages name them.
constexpr std::string_view all_letters = "aAbdefFhHlmMnopPtTxX#";

// At most one of each group. The order decides which complaint comes first.
constexpr std::string_view exclusive_groups[] = {"denX#", "efX#", "exX#", "deoX#", "ehHX#", "aAbFlmMpPtT"};

struct mode_rule {
    char mode;
    std::string_view refused;
};
constexpr mode_rule mode_rules[] = {
    {'a', "defhHnoxX#"}, {'A', "defhHnoxX#"}, {'b', "defhHnoxX#"}, {'F', "dnX#"}, {'l', "defhHnoxX#"},
    {'m', "defhHnoxX#"}, {'M', "dhHn"},       {'P', "dn#"},        {'t', "defhHnoxX#"}, {'T', "defhHnoxX#"},
};

// " -d -n" for those of the letters that were given.
std::string given(const options& opt, std::string_view letters) {
    std::string out;
    for (const char letter : all_letters)
        if (letters.find(letter) != std::string_view::npos && opt.has(letter))
            out += std::string(" -") + letter;
    return out;
}

void check_classes(const std::string& classes, config::command_log& log) {
    for (const auto word : split(classes, ", \t\r\n"))
        if (!iequals(word, "all") && !iequals(word, "builtin") && !iequals(word, "service") && !iequals(word, "user"))
            log.fatal("unknown -C option value \"" + std::string(word) + "\" in \"" + classes + '"');
}

} // namespace

options read_options(std::span<const char* const> args, config::command_log& log) {
    options opt;
    option_reader reader(args, "aAbc:C:deEfFhHjlmMno:pPqtT:vxX#", log.program());
    while (const auto option = reader.next()) {
        switch (option->letter) {
        case '?':
            log.fatal(usage);
        case '-':
            if (option->value == "json")
                opt.json = true;
            else if (option->value == "origin")
                opt.origin = true;
            else if (option->value == "explain")
                opt.explain = true;
            else if (option->value == "check")
                opt.check = true;
            else
                opt.long_words.push_back(option->value);
            break;
        case 'c':
            opt.directory_option = option->value;
            break;
        case 'C':
            opt.classes = option->value;
            check_classes(opt.classes, log);
            break;
        case 'j':
            opt.json = true;
            break;
        case 'q':
            opt.quiet = true;
            break;
        case 'E':
            log.fatal(usage);
        case 'v':
            break; // there are no further details to tell
        case 'T':
            if (opt.has('T'))
                log.fatal("At most one -T <mode> option may be specified");
            opt.capability = option->value;
            opt.letters.insert('T');
            break;
        case 'o': {
            const auto setting = config::split_name_value(option->value);
            if (!setting) {
                const std::string_view why = setting.error().detail;
                log.fatal("invalid parameter override: " + std::string(option->value) + ": " +
                          std::string(why.substr(0, why.find(':'))));
            }
            opt.settings.emplace_back(setting->name, setting->value);
            opt.letters.insert('o');
            break;
        }
        default:
            opt.letters.insert(option->letter);
            if (opt.has('b') && opt.has('t'))
                log.fatal("specify one of -b and -t");
        }
    }
    opt.words.assign(reader.operands().begin(), reader.operands().end());
    return opt;
}

void check_combination(options& opt, config::command_log& log) {
    if ((opt.explain || opt.check) && !given(opt, "aAbdefFhHlmMnptPtTxX#").empty())
        log.fatal(std::string(opt.check ? "--check" : "--explain") + " stands alone, without" +
                  given(opt, "aAbdefFhHlmMnpPtTxX#"));
    if (opt.explain || opt.check)
        return;
    const bool main_mode = given(opt, "aAbFlmMPtT").empty();
    const bool edits_given = !opt.words.empty() && opt.words.front().find('=') != std::string::npos;
    if (edits_given && given(opt, "aAblmtT").empty())
        opt.letters.insert('e');
    for (const auto group : exclusive_groups)
        if (const auto found = given(opt, group); found.size() > 3)
            log.fatal("specify one of" + found);
    if (main_mode)
        opt.letters.insert('p');
    for (const auto& rule : mode_rules)
        if (opt.has(rule.mode))
            if (const auto found = given(opt, rule.refused); !found.empty())
                log.fatal(std::string("with option -") + rule.mode + ", do not specify" + found);
}

} // namespace mta::postconf
