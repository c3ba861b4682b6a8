// Builds databases from sources, and adds standard input to them.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/command_task.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/line_input.hpp>
#include <mta/table/source_reading.hpp>

namespace mta::table {
namespace {

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

// A root's command takes the rights of whoever owns the source, so that it writes nothing that they could not.
class owner_rights {
public:
    [[nodiscard]] static result<owner_rights> take(const struct stat& source, bool wanted) {
        if (!wanted || ::getuid() != 0 || (source.st_uid == ::geteuid() && source.st_gid == ::getegid()))
            return owner_rights(false);
        if (::setegid(source.st_gid) != 0 || ::seteuid(source.st_uid) != 0)
            return fail_errno("change user ID");
        return owner_rights(true);
    }
    owner_rights(owner_rights&& other) noexcept : taken_(std::exchange(other.taken_, false)) {}
    owner_rights& operator=(owner_rights&&) = delete;
    ~owner_rights() {
        if (taken_ && (::seteuid(0) != 0 || ::setegid(::getgid()) != 0))
            ::_exit(1); // with rights that nobody knows nothing more is done
    }

private:
    explicit owner_rights(bool taken) noexcept : taken_(taken) {}
    bool taken_;
};

result<void> add_alias_records(command_task& task, table_writer& to) {
    // "@" says that the table is complete; the other two are what NIS and Sendmail look for.
    if (auto done = to.replace("@", "@"); !done)
        return done;
    char now[16];
    std::snprintf(now, sizeof now, "%010ld", static_cast<long>(::time(nullptr)));
    if (auto done = to.put_bare("YP_LAST_MODIFIED", now); !done)
        return done;
    return to.put_bare("YP_MASTER_NAME", task.cfg.text("myhostname"));
}

// Says what there is to be said about the lines, in their order.
result<void> say(command_task& task, const spill_store& store, entry_runs messages) {
    entry_merge merged(store, std::move(messages), on_duplicate::keep_all, nullptr);
    for (;;) {
        const auto one = merged.next();
        if (!one)
            return tl::make_unexpected(one.error());
        if (*one == nullptr)
            return {};
        task.log.warning((*one)->value);
    }
}

// Adds one entry after the other to a database that may hold others. told hears of keys that are there.
result<void> add_each(command_task& task, table_writer& writer, entry_source& entries, const duplicate_told& told) {
    for (;;) {
        const auto one = entries.next();
        if (!one)
            return tl::make_unexpected(one.error());
        if (*one == nullptr)
            return {};
        if (task.options.has('r')) {
            if (auto done = writer.replace((*one)->key, (*one)->value); !done)
                return done;
            continue;
        }
        const auto added = writer.insert((*one)->key, (*one)->value);
        if (!added)
            return tl::make_unexpected(added.error());
        if (!*added)
            if (auto done = told(**one); !done)
                return done;
    }
}

result<void> fill(command_task& task, table_writer& writer, const source_rules& rules, spill_store& store, source_content source) {
    line_messages messages(store);
    const auto told = [&](const database_entry& one) {
        return rules.tell_duplicates ? messages.add(one.line, rules.duplicate(one.key)) : result<void>();
    };
    entry_merge entries(store, std::move(source.entries), rules.policy, told);
    const auto filled = task.options.has('i') ? add_each(task, writer, entries, told) : writer.load(entries);
    auto said = messages.finish();
    if (said) {
        std::ranges::move(*said, std::back_inserter(source.messages));
        if (auto done = say(task, store, std::move(source.messages)); !done)
            return done;
    }
    if (!filled || !said)
        return tl::make_unexpected(filled ? said.error() : filled.error());
    if (task.style.alias_records)
        if (auto done = add_alias_records(task, writer); !done)
            return done;
    return writer.finish();
}

// A file without a byte is no database: one takes its place.
void tell_of_empty_file(command_task& task, const spec_parts& spec) {
    struct stat status {};
    const auto path = database_file(spec.type, spec.name);
    if ((spec.type == "hash" || spec.type == "btree") && ::stat(path.c_str(), &status) == 0 && status.st_size == 0)
        task.log.warning("removing zero-length database file: " + path);
}

result<void> build(command_task& task, const char* file) {
    const auto spec = task.parts(file);
    const bool adding = task.options.has('i');
    if (!adding && spec.type == "proxy")
        return fail(errc::unsupported, "can't create maps via the proxy service");
    unique_fd opened;
    if (!adding) {
        auto source = open_file(spec.name, O_RDONLY);
        if (!source)
            return tl::make_unexpected(source.error());
        opened = std::move(*source);
    }
    const int fd = adding ? STDIN_FILENO : opened.get();
    const std::string title = adding ? "stdin" : spec.name;
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return fail_errno("fstat " + title);
    mode_t mode = 0644;
    // Who may not read the source may not read the table.
    if (!task.options.has('p') && S_ISREG(status.st_mode))
        mode = static_cast<mode_t>(0600 | (status.st_mode & 0044));
    const auto rights = owner_rights::take(status, !task.options.has('o'));
    if (!rights)
        return tl::make_unexpected(rights.error());
    // Asked first, so that a type that cannot be written is named before the source is read.
    if (auto writable = can_write(spec.type); !writable)
        return writable;
    const auto how = task.how_to_write(adding ? write_mode::update : write_mode::create, mode);
    source_rules rules{task.style, title, shown_database(spec.type, spec.name), task.utf8(), task.folds()};
    rules.file_values = task.options.has('F');
    rules.tell_duplicates = !task.options.has('w') && !task.options.has('r');
    rules.policy = adding ? on_duplicate::keep_all : task.options.has('r') ? on_duplicate::take_last : on_duplicate::keep_first;
    rules.rank = adding ? nullptr : load_rank(spec.type, how);
    spill_store store(parent_directory(spec.name), most_in_memory);
    auto source = read_source(rules, store, fd, S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0);
    if (!source)
        return tl::make_unexpected(source.error());
    const signals_held held;
    if (adding)
        tell_of_empty_file(task, spec);
    auto writer = open_writer(spec.type, spec.name, how);
    if (!writer)
        return tl::make_unexpected(writer.error());
    return fill(task, **writer, rules, store, std::move(*source));
}

} // namespace

result<int> build_tables(command_task& task, std::span<const char* const> files) {
    for (const char* file : files)
        if (auto built = build(task, file); !built)
            return tl::make_unexpected(built.error());
    return 0;
}

result<int> remove_keys(command_task& task, std::span<const char* const> files) {
    std::vector<std::string> keys{*task.options.remove};
    if (keys.front() == "-") {
        keys.clear();
        const auto input = read_descriptor(STDIN_FILENO, "stdin");
        if (!input)
            return tl::make_unexpected(input.error());
        for (std::size_t at = 0, end = 0; at < input->size(); at = end + 1) {
            end = std::min(input->find('\n', at), input->size());
            const auto line = std::string_view(*input).substr(at, end - at);
            keys.emplace_back(line.substr(0, line.find('\0'))); // as the reference reads lines
        }
    }
    int status = 1;
    for (const char* file : files) {
        const auto spec = task.parts(file);
        const signals_held held;
        auto writer = open_writer(spec.type, spec.name, task.how_to_write(write_mode::change, 0644));
        if (!writer)
            return tl::make_unexpected(writer.error());
        key_folder folder;
        for (const auto& key : keys) {
            if (task.utf8() && !is_utf8(key)) {
                task.log.warning(shown_table(spec.type, spec.name) + ": non-UTF-8 key \"" + key +
                                 "\": malformed UTF-8 or invalid codepoint");
                status = 0; // as the reference has it: such a key is gone from every table
                continue;
            }
            const auto removed = (*writer)->remove(task.folds() ? folder(key, task.utf8()) : std::string_view(key));
            if (!removed)
                return tl::make_unexpected(removed.error());
            if (*removed)
                status = 0;
        }
        if (auto done = (*writer)->finish(); !done)
            return tl::make_unexpected(done.error());
    }
    return status;
}

} // namespace mta::table
