// Builds databases from sources, and adds standard input to them.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/command_task.hpp>
#include <mta/table/entry_list.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/text_source.hpp>

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

// Says on a terminal how far a long build is.
class progress {
public:
    progress(std::string title, std::size_t total)
        : title_(std::move(title)), total_(total), wanted_(total > (8U << 20U) && ::isatty(STDERR_FILENO) == 1) {}
    ~progress() {
        if (shown_)
            std::fputs("\r\033[K", stderr);
    }
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;
    void show(std::size_t done, const char* what) {
        if (!wanted_)
            return;
        std::fprintf(stderr, "\r%s: %s, %zu%%\033[K", title_.c_str(), what, done * 100 / std::max<std::size_t>(total_, 1));
        shown_ = true;
    }

private:
    std::string title_;
    std::size_t total_;
    bool wanted_;
    bool shown_ = false;
};

// Reads a source into entries and keeps its warnings, to say them in the order of the lines.
class source_reader {
public:
    source_reader(command_task& task, std::string title, std::string database)
        : task_(task), title_(std::move(title)), database_(std::move(database)), utf8_(task.utf8()) {}

    void read(std::string_view text) {
        line_reader lines(text, title_);
        progress bar(title_, text.size());
        std::size_t shown = text.size();
        while (const auto line = lines.next()) {
            add(*line);
            if (shown - lines.left() > (1U << 20U)) {
                shown = lines.left();
                bar.show(text.size() - shown, "reading");
            }
        }
    }
    [[nodiscard]] entry_list& entries() noexcept { return entries_; }
    void duplicate(const database_entry& entry) {
        if (!task_.options.has('w') && !task_.options.has('r'))
            warnings_.emplace_back(entry.line, database_ + ": duplicate entry: \"" + std::string(entry.key) + "\"");
    }
    void say_warnings() {
        std::ranges::stable_sort(warnings_, {}, &std::pair<int, std::string>::first);
        for (const auto& [line, text] : warnings_)
            task_.log.warning(text);
        warnings_.clear();
    }

private:
    void complain(int line, std::string_view what) {
        warnings_.emplace_back(line, title_ + ", line " + std::to_string(line) + ": " + std::string(what));
    }
    void add(const logical_line& line) {
        if (utf8_ && !is_utf8_line(line))
            return complain(line.line, "non-UTF-8 input \"" + std::string(line.text) + "\"" + ignored_line);
        if (line.text.empty() && task_.style.alias_records)
            return; // begins with a NUL: nothing to name
        const auto entry = task_.style.parser->parse(line.text);
        if (!entry)
            return complain(line.line, entry.error().text());
        if (!entry->remark.empty())
            complain(line.line, entry->remark);
        std::string_view value = entry->value;
        if (task_.options.has('F')) {
            auto content = encoded_files(value);
            if (!content)
                return complain(line.line, content.error().text() + ": skipping this entry");
            value = encoded_ = std::move(*content);
        }
        entries_.add(task_.folds() ? folder_(entry->key, utf8_) : entry->key, value, line.line);
    }

    command_task& task_;
    std::string title_;
    std::string database_;
    bool utf8_;
    entry_list entries_;
    key_folder folder_;
    std::string encoded_;
    std::vector<std::pair<int, std::string>> warnings_;
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

result<void> fill(command_task& task, table_writer& writer, source_reader& source) {
    if (!task.options.has('i')) {
        const auto policy = task.options.has('r') ? on_duplicate::take_last : on_duplicate::keep_first;
        const auto sorted =
            source.entries().sorted(policy, [&](const database_entry& dropped) { source.duplicate(dropped); });
        source.say_warnings();
        if (auto done = writer.load(sorted); !done)
            return done;
    } else {
        for (const auto& one : source.entries().entries()) {
            if (task.options.has('r')) {
                if (auto done = writer.replace(one.key, one.value); !done)
                    return done;
                continue;
            }
            const auto added = writer.insert(one.key, one.value);
            if (!added)
                return tl::make_unexpected(added.error());
            if (!*added)
                source.duplicate(one);
        }
        source.say_warnings();
    }
    if (task.style.alias_records)
        if (auto done = add_alias_records(task, writer); !done)
            return done;
    return writer.finish();
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
    const auto text = read_descriptor(fd, title);
    if (!text)
        return tl::make_unexpected(text.error());
    source_reader source(task, title, shown_database(spec.type, spec.name));
    source.read(*text);
    const signals_held held;
    auto writer = open_writer(spec.type, spec.name,
                              task.how_to_write(adding ? write_mode::update : write_mode::create, mode));
    if (!writer)
        return tl::make_unexpected(writer.error());
    return fill(task, **writer, source);
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
            keys.push_back(input->substr(at, end - at));
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
