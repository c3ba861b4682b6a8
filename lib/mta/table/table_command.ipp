#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>
#include <mta/core/argv.hpp>
#include <mta/table/command_task.hpp>
#include <mta/table/environment.hpp>

namespace mta::table {
namespace {

void note_option(const option& from, command_options& to, config::command_log& log) {
    to.letters.insert(from.letter);
    const bool exclusive = from.letter == 's' || from.letter == 'q' || from.letter == 'd';
    if (exclusive && (to.query || to.remove || (from.letter != 's' && to.has('s'))))
        log.fatal("specify only one of -s -q or -d");
    if (from.letter == 'c')
        to.directory = from.value;
    else if (from.letter == 'q')
        to.query = std::string(from.value);
    else if (from.letter == 'd')
        to.remove = std::string(from.value);
    // Of two that exclude each other the later one counts.
    constexpr std::pair<char, char> rivals[] = {{'n', 'N'}, {'N', 'n'}, {'r', 'w'}, {'w', 'r'}};
    for (const auto& [letter, rival] : rivals)
        if (from.letter == letter)
            to.letters.erase(rival);
}

// False for a word that is none of ours.
bool note_long_option(const option& word, option_reader& reader, command_options& to, config::command_log& log) {
    const auto name = option_reader::long_name(word);
    const std::pair<std::string_view, bool*> switches[] = {
        {"check", &to.check}, {"stats", &to.statistics}, {"convert", &to.convert}, {"json", &to.json}};
    for (const auto& [known, flag] : switches)
        if (name == known)
            return *flag = true;
    if (name != "explain")
        return false;
    const auto value = reader.long_value(word);
    if (!value)
        log.fatal("--explain needs a key");
    to.explain = std::string(*value);
    return true;
}

void check_message_keys(const command_options& options, config::command_log& log) {
    const bool parts = options.has('b') || options.has('h');
    if ((parts || options.has('m')) && options.query != "-")
        log.fatal("specify -b -h or -m only with \"-q -\"");
    if (options.has('m') && !parts)
        log.warning("ignoring -m option without -b or -h");
}

// What the long options ask for goes with nothing else that is to be done.
void check_long_options(const command_options& options, config::command_log& log) {
    const bool inspects = options.explain || options.check || options.statistics || options.convert;
    const int count = int{options.explain.has_value()} + int{options.check} + int{options.statistics} + int{options.convert};
    const bool historic = options.query || options.remove || options.has('s') || options.has('i');
    if (count > 1 || (inspects && historic))
        log.fatal("specify only one of -d -i -q -s --explain --check --stats --convert");
    if (options.json && !(options.query || options.has('s') || options.explain || options.statistics))
        log.fatal("specify --json only with -q -s --explain or --stats");
}

result<int> run(command_task& task, std::span<const char* const> files) {
    if (task.options.explain)
        return explain_key(task, files);
    if (task.options.check)
        return check_sources(task, files);
    if (task.options.statistics)
        return table_statistics(task, files);
    if (task.options.convert)
        return convert_table(task, files);
    if (task.options.query)
        return query_tables(task, files);
    if (task.options.remove)
        return remove_keys(task, files);
    if (task.options.has('s'))
        return list_table(task, files.front());
    return build_tables(task, files);
}

} // namespace

int run_table_command(std::span<const char* const> words, const command_style& style, config::command_log& log) {
    command_options options;
    option_reader reader(words, style.letters, log.program());
    while (const auto option = reader.next()) {
        if (option->letter == '-') {
            if (!note_long_option(*option, reader, options, log))
                return config::long_option(option->value, log.program(), style.help);
            continue;
        }
        if (option->letter == '?')
            log.fatal(style.usage);
        note_option(*option, options, log);
    }
    const auto where = config::find_directory(
        options.has('c') ? std::optional<std::string_view>(options.directory) : std::nullopt);
    if (!where)
        log.fatal(where.error());
    auto cfg = config::configuration::load(where->directory);
    if (!cfg)
        log.fatal(cfg.error());
    log.use_checked(*cfg);
    check_message_keys(options, log);
    check_long_options(options, log);
    if (reader.operands().empty())
        log.fatal(style.usage);
    set_environment(*cfg, log.log());
    command_task task{style, log, std::move(options), std::move(*cfg)};
    const auto status = run(task, reader.operands());
    if (!status)
        log.fatal(status.error());
    return *status;
}

} // namespace mta::table
