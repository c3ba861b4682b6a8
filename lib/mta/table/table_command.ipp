#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <set>

#include <mta/config/configuration.hpp>
#include <mta/config/locate.hpp>
#include <mta/config/long_options.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/database_writer.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/table_command.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

struct command_options {
    std::set<char> letters;
    std::string directory; // -c
    std::optional<std::string> query;
    std::optional<std::string> remove;

    [[nodiscard]] bool has(char letter) const { return letters.contains(letter); }
};

class table_command {
public:
    table_command(const command_style& style, config::command_log& log, command_options options,
                  config::configuration cfg)
        : style_(style), log_(log), options_(std::move(options)), cfg_(std::move(cfg)),
          utf8_(!options_.has('u') && cfg_.yes_no("smtputf8_enable").value_or(true)) {}

    int run(std::span<const char* const> files);

private:
    int query(std::span<const char* const> files);
    int remove(std::span<const char* const> files);
    int list(const char* file);
    void build(const char* file);
    void add_source(database_writer& to, const std::string& text, const std::string& shown,
                    const std::string& database);
    void add_entry(database_writer& to, const source_entry& entry, const std::string& database);
    void add_alias_records(database_writer& to);
    database_writer open_writer(const spec_parts& spec, mode_t mode);
    void become_owner(const struct stat& source);
    std::vector<table_ptr> open_all(std::span<const char* const> files);
    std::optional<std::string> look_up(lookup_table& in, const std::string& key);
    [[nodiscard]] std::string default_type() const { return cfg_.text("default_database_type"); }
    [[nodiscard]] std::string folded(const std::string& key) const { return options_.has('f') ? key : lower(key); }

    template <class T>
    T must(result<T> outcome) {
        if (!outcome)
            log_.fatal(outcome.error());
        if constexpr (!std::is_void_v<T>)
            return std::move(*outcome);
    }

    const command_style& style_;
    config::command_log& log_;
    command_options options_;
    config::configuration cfg_;
    bool utf8_;
};

std::string read_descriptor(int fd) {
    std::string out;
    char chunk[65536];
    for (ssize_t got = 0; (got = ::read(fd, chunk, sizeof chunk)) != 0;) {
        if (got < 0 && errno != EINTR)
            break;
        if (got > 0)
            out.append(chunk, static_cast<std::size_t>(got));
    }
    return out;
}

// While a table is written, signals that would end the command wait.
class signals_held {
public:
    signals_held() {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM})
            sigaddset(&set, signal);
        ::sigprocmask(SIG_BLOCK, &set, &old_);
    }
    ~signals_held() { ::sigprocmask(SIG_SETMASK, &old_, nullptr); }
    signals_held(const signals_held&) = delete;
    signals_held& operator=(const signals_held&) = delete;

private:
    sigset_t old_{};
};

int table_command::run(std::span<const char* const> files) {
    if (options_.query)
        return query(files);
    if (options_.remove)
        return remove(files);
    if (options_.has('s'))
        return list(files.front());
    for (const char* file : files)
        build(file);
    return 0;
}

std::vector<table_ptr> table_command::open_all(std::span<const char* const> files) {
    std::vector<table_ptr> out;
    for (const char* file : files) {
        const auto spec = split_spec(file, default_type());
        out.push_back(must(open_table(spec.type + ":" + spec.name, {.fold_case = !options_.has('f')})));
    }
    return out;
}

std::optional<std::string> table_command::look_up(lookup_table& in, const std::string& key) {
    auto found = in.lookup(in.traits().patterns ? key : folded(key));
    if (!found)
        log_.fatal("table " + in.name() + ": query error: " + found.error().text());
    if (*found && (*found)->empty())
        log_.warning("table " + in.name() + ": key " + key + ": empty string result is not allowed");
    return *found && (*found)->empty() ? std::nullopt : *found;
}

int table_command::query(std::span<const char* const> files) {
    const auto tables = open_all(files);
    int status = 1;
    const auto ask = [&](const std::string& key, bool with_key) {
        for (const auto& table : tables) {
            const auto found = look_up(*table, key);
            if (!found)
                continue;
            if (with_key)
                std::printf("%s%s%s\n", key.c_str(), std::string(style_.separator).c_str(), found->c_str());
            else
                std::printf("%s\n", found->c_str());
            status = 0;
            return;
        }
    };
    if (*options_.query != "-") {
        ask(*options_.query, false);
    } else {
        char* line = nullptr;
        std::size_t room = 0;
        while (::getline(&line, &room, stdin) >= 0) {
            std::string key(line);
            if (key.ends_with('\n'))
                key.pop_back();
            ask(key, true);
        }
        std::free(line);
    }
    if (std::fflush(stdout) != 0)
        log_.fatal("write output: " + std::string(std::strerror(errno)));
    return status;
}

int table_command::remove(std::span<const char* const> files) {
    std::vector<std::string> keys{*options_.remove};
    if (*options_.remove == "-") {
        keys.clear();
        const auto input = read_descriptor(0);
        for (const auto line : split(input, "\n"))
            keys.emplace_back(line);
    }
    int status = 1;
    for (const char* file : files) {
        const auto spec = split_spec(file, default_type());
        must(open_table(spec.type + ":" + spec.name)); // a missing table is an error, not an empty one
        const signals_held held;
        auto writer = must(database_writer::update(spec.type, spec.name, 0644, terminator::with));
        for (const auto& key : keys)
            if (must(writer.remove(folded(key))))
                status = 0;
        must(writer.finish());
    }
    return status;
}

int table_command::list(const char* file) {
    const auto spec = split_spec(file, default_type());
    auto table = must(open_table(spec.type + ":" + spec.name));
    must(table->walk([&](std::string_view key, std::string_view value) {
        std::printf("%s%s%s\n", std::string(key).c_str(), std::string(style_.separator).c_str(),
                    std::string(value).c_str());
        return true;
    }));
    return 0;
}

// A root's command takes the rights of whoever owns the source, so that it writes nothing that they could not.
void table_command::become_owner(const struct stat& source) {
    if (options_.has('o') || ::geteuid() != 0 || source.st_uid == 0)
        return;
    if (::setegid(source.st_gid) != 0 || ::seteuid(source.st_uid) != 0)
        log_.fatal("change user ID: " + std::string(std::strerror(errno)));
}

database_writer table_command::open_writer(const spec_parts& spec, mode_t mode) {
    if (spec.type != "hash" && spec.type != "btree") {
        if (find_type(spec.type) == known::usable)
            log_.fatal("unsupported dictionary type: " + spec.type + " does not support bulk-mode creation.");
        log_.fatal("unsupported dictionary type: " + spec.type + ". Is the postfix-" + spec.type +
                   " package installed?");
    }
    if (find_type(spec.type) != known::usable)
        log_.fatal("unsupported dictionary type: " + spec.type + " (this build has no Berkeley DB; use lmdb:)");
    const auto style = options_.has('n') ? terminator::without : terminator::with;
    return must(options_.has('i') ? database_writer::update(spec.type, spec.name, mode, style)
                                  : database_writer::create(spec.type, spec.name, mode, style));
}

void table_command::build(const char* file) {
    const auto spec = split_spec(file, default_type());
    std::string text;
    mode_t mode = 0644;
    if (options_.has('i')) {
        text = read_descriptor(0);
    } else {
        struct stat source {};
        if (::stat(spec.name.c_str(), &source) != 0)
            log_.fatal("open " + spec.name + ": " + std::strerror(errno));
        if (!options_.has('p'))
            mode = static_cast<mode_t>(0600 | (source.st_mode & 0044));
        // Asked before the rights change, so that an unknown type is named first.
        become_owner(source);
        text = must(read_file(spec.name, std::size_t{1} << 32U));
    }
    const signals_held held;
    auto writer = open_writer(spec, mode);
    add_source(writer, text, options_.has('i') ? "stdin" : spec.name, spec.name + ".db");
    if (style_.alias_records)
        add_alias_records(writer);
    must(writer.finish());
    if (::geteuid() != ::getuid() && (::seteuid(::getuid()) != 0 || ::setegid(::getgid()) != 0))
        log_.fatal("change user ID back: " + std::string(std::strerror(errno)));
}

void table_command::add_source(database_writer& to, const std::string& text, const std::string& shown,
                               const std::string& database) {
    line_reader lines(text);
    while (auto line = lines.next()) {
        const std::string where = shown + ", line " + std::to_string(line->line) + ": ";
        if (utf8_ && !is_utf8(line->text)) {
            log_.warning(where + "non-UTF-8 input \"" + line->text + "\" -- ignoring this line");
            continue;
        }
        if (line->text.front() == ' ' || line->text.front() == '\t') {
            log_.warning(where + "logical line must not start with whitespace: \"" +
                         line->text.substr(0, 30) + "...\"");
            continue;
        }
        auto entry = style_.parse(line->text);
        if (!entry) {
            log_.warning(where + entry.error().text());
            continue;
        }
        if (!entry->remark.empty())
            log_.warning(where + entry->remark);
        add_entry(to, *entry, database);
    }
}

void table_command::add_entry(database_writer& to, const source_entry& entry, const std::string& database) {
    const auto key = folded(entry.key);
    if (options_.has('r')) {
        must(to.replace(key, entry.value));
    } else if (!must(to.insert(key, entry.value)) && !options_.has('w')) {
        log_.warning(database + ": duplicate entry: \"" + key + "\"");
    }
}

void table_command::add_alias_records(database_writer& to) {
    // "@" says that the table is complete; the other two are what NIS and Sendmail look for.
    must(to.replace("@", "@"));
    char now[16];
    std::snprintf(now, sizeof now, "%010ld", static_cast<long>(::time(nullptr)));
    must(to.put_bare("YP_LAST_MODIFIED", now));
    must(to.put_bare("YP_MASTER_NAME", cfg_.text("myhostname")));
}

} // namespace

int run_table_command(std::span<const char* const> words, const command_style& style, config::command_log& log) {
    command_options options;
    option_reader reader(words, style.letters, log.program());
    while (const auto option = reader.next()) {
        if (option->letter == '-')
            return config::long_option(option->value, log.program(), style.help);
        if (option->letter == '?')
            log.fatal(style.usage);
        options.letters.insert(option->letter);
        if (option->letter == 'c')
            options.directory = option->value;
        else if (option->letter == 'q')
            options.query = std::string(option->value);
        else if (option->letter == 'd')
            options.remove = std::string(option->value);
    }
    if (options.has('s') + options.has('q') + options.has('d') > 1)
        log.fatal("specify only one of -s -q or -d");
    for (const char letter : {'b', 'h', 'm', 'F'})
        if (options.has(letter))
            log.fatal(std::string("option -") + letter + " is not supported by this version");
    if (reader.operands().empty())
        log.fatal(style.usage);
    const auto where = config::find_directory(
        options.directory.empty() ? std::nullopt : std::optional<std::string_view>(options.directory));
    if (!where)
        log.fatal(where.error());
    auto cfg = config::configuration::load(where->directory);
    if (!cfg)
        log.fatal(cfg.error());
    log.use(*cfg);
    set_environment(*cfg, log.log());
    return table_command(style, log, std::move(options), std::move(*cfg)).run(reader.operands());
}

} // namespace mta::table
