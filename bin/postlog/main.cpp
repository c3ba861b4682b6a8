// postlog: writes lines to the mail log, for scripts.
#include <cstdio>
#include <iostream>
#include <optional>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/text.hpp>

namespace {

constexpr std::string_view help = R"(usage: postlog [-iv] [-c DIRECTORY] [-p PRIORITY] [-t TAG] [TEXT ...]

Logs TEXT, or each line of standard input.
  -p PRIORITY   info (default), warn, error, fatal or panic
  -t TAG        instead of postfix/postlog
)";

std::optional<mta::severity> parse_severity(std::string_view word) {
    constexpr std::pair<std::string_view, mta::severity> names[] = {
        {"info", mta::severity::info},       {"warn", mta::severity::warning},
        {"warning", mta::severity::warning}, {"error", mta::severity::error},
        {"fatal", mta::severity::fatal},     {"panic", mta::severity::panic},
    };
    for (const auto& [name, level] : names)
        if (mta::iequals(name, word))
            return level;
    return std::nullopt;
}

int postlog_main(int argc, char** argv) {
    mta::config::command_log log("postlog");
    const std::span<const char* const> args(argv + 1, static_cast<std::size_t>(argc - 1));
    mta::option_reader options(args, "c:ip:t:v", "postlog");
    std::optional<std::string_view> directory;
    std::optional<std::string> tag;
    auto level = mta::severity::info;
    while (const auto option = options.next()) {
        if (option->letter == '-')
            return mta::config::long_option(option->value, "postlog", help);
        if (option->letter == 'c')
            directory = option->value;
        if (option->letter == 't')
            tag = option->value;
        if (option->letter == 'p') {
            const auto parsed = parse_severity(option->value);
            if (!parsed)
                log.fatal("bad severity: \"" + std::string(option->value) + "\"");
            level = *parsed;
        }
        if (option->letter == '?')
            log.fatal("usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text...]");
    }
    const auto where = mta::config::find_directory(directory);
    if (!where)
        log.fatal(where.error());
    const auto cfg = mta::configuration::load(where->directory);
    if (!cfg)
        log.fatal(cfg.error());
    // Scripts have the line in the log; a person at a terminal wants to see it too. Errors above are always
    // shown.
    mta::config::command_log lines("postlog", 1, mta::config::copy_to_stderr::terminal_only);
    lines.show_tag();
    if (tag)
        lines.set_tag(*tag);
    lines.use_checked(*cfg);
    if (const auto words = options.operands(); !words.empty()) {
        lines.log().log(level, mta::join(words, " "));
        return 0;
    }
    for (std::string line; std::getline(std::cin, line);)
        lines.log().log(level, line);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return postlog_main(argc, argv);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "postlog: fatal: %s\n", problem.what());
        return 1;
    }
}
