// postlock: runs a command while it holds the locks of a mailbox file.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <thread>

#include <mta/config/command_log.hpp>
#include <mta/config/long_options.hpp>
#include <mta/config/values.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/standard_descriptors.hpp>
#include <mta/core/sysexits.hpp>
#include <mta/core/text.hpp>

namespace {

constexpr std::string_view help =
    R"(usage: postlock [-c DIRECTORY] [-l STYLE] [-v] FILE COMMAND [ARGUMENT ...]

Locks FILE as mailboxes are locked (-l or mailbox_delivery_lock: flock, fcntl,
dotlock), runs COMMAND without a shell, and returns its exit status.
)";

// FILE.lock while it lives.
class dot_lock {
public:
    dot_lock() = default;
    dot_lock(const dot_lock&) = delete;
    dot_lock& operator=(const dot_lock&) = delete;
    ~dot_lock() {
        if (!path_.empty())
            unlink(path_.c_str());
    }

    // False when another holds it. A lock file older than stale is a leftover.
    mta::result<bool> take(const std::string& path, std::chrono::seconds stale) {
        const auto file = mta::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0);
        if (file) {
            path_ = path;
            return true;
        }
        if (file.error().code != std::errc::file_exists)
            return mta::fail(file.error().code, "unable to create lock file " + path);
        struct stat info {};
        if (stat(path.c_str(), &info) == 0 && info.st_ctime + stale.count() < std::time(nullptr)) {
            unlink(path.c_str());
            return take(path, std::chrono::seconds(INT_MAX));
        }
        return false;
    }

private:
    std::string path_;
};

struct holder {
    mta::unique_fd file;
    dot_lock dot;
};

// Empty: all locks are held. Otherwise which one another process has, as an error text has it. Errors:
// locking itself failed. The lock file comes first: it needs no file to lock.
mta::result<std::string> try_all(holder& held, const std::string& path,
                                 const std::vector<std::string>& styles, std::chrono::seconds stale) {
    const auto busy = [](const std::string& what, std::errc code) {
        return what + ": " + std::make_error_code(code).message();
    };
    for (const auto& style : styles)
        if (style == "dotlock") {
            const auto had = held.dot.take(path + ".lock", stale);
            if (!had)
                return tl::make_unexpected(had.error());
            if (!*had)
                return busy("unable to create lock file " + path + ".lock", std::errc::file_exists);
        }
    auto file = mta::open_file(path, O_APPEND | O_WRONLY | O_CREAT, 0600);
    if (!file)
        return mta::fail(file.error().code, "cannot open file");
    held.file = std::move(*file);
    for (const auto& style : styles) {
        if (style == "dotlock")
            continue;
        const auto had = mta::try_lock(held.file.get(), mta::lock_mode::exclusive,
                                       style == "flock" ? mta::lock_style::flock : mta::lock_style::fcntl);
        if (!had)
            return tl::make_unexpected(had.error());
        if (!*had)
            return busy("unable to lock for exclusive access", std::errc::resource_unavailable_try_again);
    }
    return std::string();
}

int run_command(mta::config::command_log& log, std::span<const char* const> words) {
    const pid_t pid = fork();
    if (pid < 0)
        log.fatal(mta::error{std::error_code(errno, std::generic_category()), "fork"});
    if (pid == 0) {
        std::vector<char*> argv;
        for (const auto* word : words)
            argv.push_back(const_cast<char*>(word));
        argv.push_back(nullptr);
        execvp(argv[0], argv.data());
        std::fprintf(stderr, "postlock: fatal: execvp %s: %s\n", argv[0],
                     std::error_code(errno, std::generic_category()).message().c_str());
        _exit(1);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            log.fatal(mta::error{std::error_code(errno, std::generic_category()), "wait"});
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int postlock_main(int argc, char** argv) {
    mta::config::command_log log("postlock", mta::ex_tempfail);
    const std::span<const char* const> args(argv + 1, static_cast<std::size_t>(argc - 1));
    mta::option_reader options(args, "c:l:v", "postlock");
    std::optional<std::string_view> directory;
    std::optional<std::string> style_text;
    bool usage = false;
    while (const auto option = options.next()) {
        if (option->letter == '-')
            return mta::config::long_option(option->value, "postlock", help);
        if (option->letter == 'c')
            directory = option->value;
        if (option->letter == 'l')
            style_text = option->value;
        usage = usage || option->letter == '?';
    }
    const auto words = options.operands();
    if (usage || words.size() < 2)
        log.fatal("usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...");
    const auto cfg = log.load(directory, mta::config::mail_log::optional);
    const auto text = style_text.value_or(cfg.text(mta::param::mailbox_delivery_lock));
    const auto styles = mta::config::split_list(text);
    for (const auto& style : styles)
        if (style != "flock" && style != "fcntl" && style != "dotlock")
            log.fatal("unknown mailbox_delivery_lock value \"" + style + "\" in \"" + text + "\"");

    const std::string path = words.front();
    std::string busy;
    for (long long left = cfg[mta::param::deliver_lock_attempts]; left > 0; --left) {
        holder held;
        const auto taken = try_all(held, path, styles, cfg[mta::param::stale_lock_time]);
        if (!taken)
            log.fatal("open file " + path + ": " + taken.error().text());
        if (taken->empty())
            return run_command(log, words.subspan(1));
        busy = *taken;
        if (left > 1)
            std::this_thread::sleep_for(cfg[mta::param::deliver_lock_delay]);
    }
    log.fatal("open file " + path + ": " + busy);
}

} // namespace

int main(int argc, char** argv) {
    if (!mta::hold_standard_descriptors())
        return mta::ex_oserr;
    try {
        return postlock_main(argc, argv);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "postlock: fatal: %s\n", problem.what());
        return mta::ex_tempfail;
    }
}
