#include "control.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>

#include <mta/config/values.hpp>
#include <mta/core/child.hpp>
#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/text.hpp>

namespace mta::postfix {
namespace {

using namespace std::chrono_literals;

constexpr const char* usage =
    "Usage: postfix start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, "
    "logrotate)";

std::string pid_path(const configuration& cfg) {
    return cfg[param::queue_directory] + "/" + cfg[param::process_id_directory] + "/master.pid";
}

bool is_program(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

// The daemon: as installed, else beside this executable (a build tree has bin/postfix/ and bin/mtad/).
std::string daemon_program(context& ctx) {
    const auto installed = ctx.cfg[param::daemon_directory] + "/mtad";
    const auto here = executable_directory();
    for (const auto& path : {installed, here + "/mtad", here + "/../mtad/mtad"})
        if (is_program(path))
            return path;
    ctx.log.fatal("no daemon program " + installed + ": set daemon_directory in main.cf");
}

int not_running(context& ctx) {
    ctx.log.fatal("the Postfix mail system is not running");
}

// True once the master is gone. Looks often at first, since a stop takes a moment only.
bool gone_within(const configuration& cfg, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (auto pause = 5ms; running_master(cfg); pause = std::min<std::chrono::milliseconds>(pause * 2, 100ms)) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

std::vector<std::string> daemon_words(context& ctx, const std::string& program, const char* how) {
    return {program, "-c", ctx.cfg.directory(), how};
}

int start(context& ctx) {
    if (running_master(ctx.cfg))
        ctx.log.fatal("the Postfix mail system is already running");
    if (!check_directories(ctx, repair::missing_only))
        ctx.log.fatal("Postfix integrity check failed!");
    const auto program = daemon_program(ctx);
    ctx.log.info("starting the Postfix mail system");
    child_options options;
    options.arguments = daemon_words(ctx, program, "--daemon");
    const auto status = run_child(program, options);
    if (!status)
        ctx.log.fatal(status.error());
    if (*status != 0)
        ctx.log.fatal("mail system startup failed");
    return 0;
}

int start_foreground(context& ctx) {
    if (running_master(ctx.cfg))
        ctx.log.fatal("the Postfix mail system is already running");
    if (!check_directories(ctx, repair::missing_only))
        ctx.log.fatal("Postfix integrity check failed!");
    const auto program = daemon_program(ctx);
    ctx.log.info("starting the Postfix mail system");
    auto words = daemon_words(ctx, program, "--foreground");
    std::vector<char*> argv;
    for (auto& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    ctx.log.fatal(error{std::error_code(errno, std::generic_category()), "run " + program});
}

int stop(context& ctx) {
    const auto pid = running_master(ctx.cfg);
    if (!pid)
        return not_running(ctx);
    ctx.log.info("stopping the Postfix mail system");
    if (kill(*pid, SIGTERM) != 0 && errno != ESRCH)
        ctx.log.fatal(error{std::error_code(errno, std::generic_category()), "stop process " + std::to_string(*pid)});
    for (int second = 0; second < 5; ++second) {
        if (gone_within(ctx.cfg, 1000ms))
            return 0;
        ctx.log.info("waiting for the Postfix mail system to terminate");
    }
    if (gone_within(ctx.cfg, 1000ms))
        return 0;
    ctx.log.warning("stopping the Postfix mail system with force");
    if (getpgid(*pid) == *pid)
        kill(-*pid, SIGKILL);
    else
        kill(*pid, SIGKILL);
    return gone_within(ctx.cfg, 5000ms) ? 0 : 1;
}

int abort_now(context& ctx) {
    const auto pid = running_master(ctx.cfg);
    if (!pid)
        return not_running(ctx);
    ctx.log.info("aborting the Postfix mail system");
    return kill(*pid, SIGTERM) == 0 ? 0 : 1;
}

int reload(context& ctx) {
    const auto pid = running_master(ctx.cfg);
    if (!pid)
        return not_running(ctx);
    ctx.log.info("refreshing the Postfix mail system");
    return kill(*pid, SIGHUP) == 0 ? 0 : 1;
}

// Wakes a service up: the bytes are the request, its closing is the answer.
bool trigger(context& ctx, const std::string& service, std::string_view request) {
    const auto path = ctx.cfg[param::queue_directory] + "/public/" + service;
    const auto limit = std::chrono::milliseconds(ctx.cfg[param::trigger_timeout]);
    const auto socket = connect_local(path, limit);
    if (!socket || !send_all(socket->get(), request, limit))
        return false;
    (void)wait_readable(socket->get(), limit);
    return true;
}

int flush(context& ctx) {
    if (!running_master(ctx.cfg))
        return not_running(ctx);
    const bool queue = trigger(ctx, ctx.cfg[param::queue_service_name], "FADI");
    const bool pickup = trigger(ctx, ctx.cfg[param::pickup_service_name], "W");
    if (queue && pickup)
        return 0;
    ctx.log.warning("Cannot flush mail queue - mail system is down");
    return 1;
}

int status(context& ctx) {
    const auto pid = running_master(ctx.cfg);
    ctx.log.info(pid ? "the Postfix mail system is running: PID: " + std::to_string(*pid)
                     : std::string("the Postfix mail system is not running"));
    return pid ? 0 : 1;
}

int check(context& ctx) {
    if (const auto good = ctx.cfg.validate(); !good)
        ctx.log.fatal(good.error());
    if (!check_directories(ctx, repair::missing_only))
        ctx.log.fatal("Postfix integrity check failed!");
    return 0;
}

int rotate_log(context& ctx) {
    const auto& file = ctx.cfg[param::maillog_file];
    if (file.empty())
        ctx.log.fatal("logrotate: maillog_file is not set, the log goes to syslog");
    if (file.starts_with("/dev/"))
        ctx.log.fatal("logrotate: will not rotate " + file);
    std::array<char, 256> suffix{};
    const auto now = std::time(nullptr);
    struct tm local {};
    localtime_r(&now, &local);
    if (std::strftime(suffix.data(), suffix.size(), ctx.cfg[param::maillog_file_rotate_suffix].c_str(), &local) == 0)
        ctx.log.fatal("logrotate: bad maillog_file_rotate_suffix");
    const auto old_name = file + "." + suffix.data();
    if (access(old_name.c_str(), F_OK) == 0)
        ctx.log.fatal("logrotate: " + old_name + " exists already");
    if (std::rename(file.c_str(), old_name.c_str()) != 0)
        ctx.log.fatal(error{std::error_code(errno, std::generic_category()), "rename " + file});
    if (const auto pid = running_master(ctx.cfg))
        kill(*pid, SIGHUP);
    std::this_thread::sleep_for(1s); // the last lines still go to the old file
    const auto words = config::split_list(ctx.cfg[param::maillog_file_compressor]);
    if (words.empty())
        return 0;
    child_options options;
    options.arguments = words;
    options.arguments.push_back(old_name);
    for (const char* directory : {"", "/usr/bin/", "/bin/", "/usr/local/bin/"}) {
        const auto path = directory + words.front();
        if (path.front() == '/' && is_program(path)) {
            const auto done = run_child(path, options);
            return done ? *done : 1;
        }
    }
    ctx.log.fatal("logrotate: no program " + words.front());
}

int set_permissions(context& ctx, const std::vector<std::string>& words) {
    config::overrides extra;
    for (const auto& word : words) {
        const auto setting = config::split_name_value(word);
        if (!setting)
            ctx.log.fatal(setting.error());
        extra.emplace_back(setting->name, setting->value);
    }
    context changed{ctx.cfg.with_overrides(extra), ctx.log, ctx.as_root};
    return check_directories(changed, repair::all) ? 0 : 1;
}

} // namespace

std::optional<int> running_master(const configuration& cfg) {
    const auto path = pid_path(cfg);
    const auto file = open_file(path, O_RDWR);
    if (!file)
        return std::nullopt;
    const auto mine = try_lock(file->get(), lock_mode::exclusive);
    if (mine && *mine) {
        unlock(file->get());
        return std::nullopt;
    }
    const auto text = read_file(path, 256);
    const auto pid = text ? parse_integer(trim(*text)) : result<long long>(0);
    return pid && *pid > 1 && *pid <= 0x7fffffff ? std::optional(static_cast<int>(*pid)) : std::nullopt;
}

int run(context& ctx, const std::string& verb, const std::vector<std::string>& words) {
    if (verb == "start" || verb == "quick-start")
        return start(ctx);
    if (verb == "start-fg")
        return start_foreground(ctx);
    if (verb == "stop" || verb == "quick-stop" || verb == "drain")
        return stop(ctx);
    if (verb == "abort")
        return abort_now(ctx);
    if (verb == "reload")
        return reload(ctx);
    if (verb == "flush")
        return flush(ctx);
    if (verb == "check")
        return check(ctx);
    if (verb == "check-fatal" || verb == "check-warn")
        return check(ctx);
    if (verb == "status")
        return status(ctx);
    if (verb == "logrotate")
        return rotate_log(ctx);
    if (verb == "set-permissions")
        return set_permissions(ctx, words);
    if (verb == "upgrade-configuration") {
        ctx.log.info("upgrade-configuration: nothing to change");
        return 0;
    }
    ctx.log.fatal("unknown command: '" + verb + "'. " + usage);
}

} // namespace mta::postfix
