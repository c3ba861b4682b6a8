#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/ignored_parameters.hpp>
#include <mta/config/master.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/lock.hpp>
#include <mta/core/log.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/queue/spool.hpp>

#include "control.hpp"
#include "master_lock.hpp"
#include "rehearsal.hpp"
#include "restart_plans.hpp"
#include "roles.hpp"
#include "supervisor.hpp"
#include "worker_set.hpp"

namespace mta::daemon {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The spawner's name among the plans.
constexpr std::string_view spawner_plan = "spawner";

class supervisor {
public:
    explicit supervisor(start_options options) : options_(std::move(options)) {
        current_.privileged = ::geteuid() == 0;
    }
    int run();

private:
    result<void> start();
    void take(configuration_at_hand next, logger log);
    result<void> take_locks();
    result<void> announce();
    void start_or_retry(const std::string& role);

    void loop();
    void on_signal();
    void on_control(child& from);
    void reap();
    void on_death(const child& dead, int status);
    void on_spawner_death(const spawner_process& dead, int status);
    void replace_spawner();
    void plan_restart(const std::string& what, int status, clock::time_point started, bool was_ready);
    void restart_due();
    milliseconds next_wait() const;
    void refuse_reload(const std::string& why);
    void abandon_rehearsal();
    void reload();
    void on_rehearsed(const child& ended, int status);
    void change_over();
    void begin_stop();

    start_options options_;
    configuration_at_hand current_;
    worker_set workers_{current_};
    logger log_;
    bool stopping_ = false;
    clock::time_point stop_deadline_;
    master_lock lock_;
    unique_fd signals_;
    restart_plans plans_;
    std::optional<rehearsal> rehearsal_;
    bool reload_again_ = false;
};

void supervisor::take(configuration_at_hand next, logger log) {
    utf8_is_printable = next.cfg[param::smtputf8_enable];
    log_ = std::move(log);
    current_ = std::move(next);
}

// Says once what the configuration asks for and does not get.
result<void> supervisor::announce() {
    for (const auto& name : config::ignored_parameters(current_.cfg))
        log_.warning(current_.cfg.directory() + "/main.cf: parameter " + name +
                     " is known but not acted on by this version");
    for (const auto& text : current_.warnings)
        log_.warning(text);
    for (const auto& line : current_.services) {
        if (role_of(line.program) == role::later && line.type == config::service_type::inet)
            log_.warning(current_.cfg.directory() + "/master.cf: line " + std::to_string(line.line) +
                         ": program " + line.program +
                         " is not served by this version; the service stays closed");
        if (line.chroot_by_default)
            log_.info(current_.cfg.directory() + "/master.cf: line " + std::to_string(line.line) +
                      ": using backwards-compatible default setting chroot=y");
        if (line.chroot && role_of(line.program) == role::receive)
            log_.warning(current_.cfg.directory() + "/master.cf: line " + std::to_string(line.line) +
                         ": chroot is not acted on by this version: " + line.program + " runs outside");
    }
    if (!current_.privileged)
        log_.warning("started by an ordinary user: running as that user, without mail_owner, chroot or ports "
                     "below 1024");
    return {};
}

result<void> supervisor::take_locks() {
    const std::string queue = current_.cfg.text("queue_directory");
    auto options = queue::spool_options_from(current_.cfg);
    if (!current_.privileged)
        (void)::mkdir(queue.c_str(), 0755);
    auto spool = queue::spool::open(std::move(options));
    if (!spool)
        return tl::make_unexpected(spool.error());
    if (auto made = current_.privileged ? spool->make_directories(current_.owner.uid, current_.drop_group)
                                        : spool->make_directories();
        !made)
        return made;
    if (::chdir(queue.c_str()) != 0)
        return fail_errno("chdir " + queue);
    return lock_.take(current_.cfg.text("data_directory"), current_.privileged ? &current_.owner : nullptr);
}

result<void> supervisor::start() {
    auto read = read_configuration(options_.config_directory, current_.privileged);
    if (!read)
        return tl::make_unexpected(read.error());
    auto log = config::open_mail_log(read->cfg, "master");
    if (!log)
        return tl::make_unexpected(log.error());
    take(std::move(*read), std::move(*log));
    if (options_.ready_fd >= 0)
        workers_.silence();
    ::umask(077);
    if (auto locked = take_locks(); !locked)
        return locked;
    sigset_t mask;
    sigemptyset(&mask);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        sigaddset(&mask, signal);
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    signals_ = unique_fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_)
        return fail_errno("signalfd");
    if (auto said = announce(); !said)
        return said;
    for (const auto role : worker_roles)
        if (auto started = workers_.start(std::string(role)); !started)
            return started;
    return {};
}

void supervisor::on_control(child& from) {
    auto message = receive_with_fds(from.control.get());
    if (!message || message->bytes.empty()) {
        from.control.reset();
        return;
    }
    auto list = attr_list::parse(message->bytes);
    if (!list)
        return;
    if (list->get("type") == "ready") {
        from.ready = true;
        workers_.drain_older(from);
    } else if (list->get("type") == "successor" && !from.draining && !stopping_) {
        log_.info("replacing the " + from.role + " worker: " + std::string(list->get("reason")));
        start_or_retry(std::string(from.role)); // it serves until that one does
    }
}

// A worker that cannot be started now is tried again later: a port in use or a full process table passes.
void supervisor::start_or_retry(const std::string& role) {
    auto started = workers_.start(role);
    if (started)
        return;
    log_.error(started.error().text());
    plans_.again_after(role, current_.cfg[param::service_throttle_time]);
}

void supervisor::on_death(const child& dead, int status) {
    const std::string name = "process " + current_.cfg.text("daemon_directory") + "/mtad (" + dead.role +
                             ") pid " + std::to_string(dead.pid);
    if (dead.rehearsal)
        return on_rehearsed(dead, status);
    if (stopping_ || dead.draining)
        return;
    if (WIFSIGNALED(status))
        log_.warning(name + " killed by signal " + std::to_string(WTERMSIG(status)));
    else
        log_.warning(name + " exit status " + std::to_string(WEXITSTATUS(status)));
    plan_restart(dead.role, status, dead.started, dead.ready);
}

void supervisor::plan_restart(const std::string& what, int status, clock::time_point started, bool was_ready) {
    if (plans_.ended(what, status, started, was_ready, current_.cfg[param::service_throttle_time]))
        log_.warning(current_.cfg.text("daemon_directory") + "/mtad: bad command startup -- throttling");
}

// A spawner ends with its deliver worker; one that ends alone is replaced.
void supervisor::on_spawner_death(const spawner_process& dead, int status) {
    auto* const deliver = workers_.find(dead.serves);
    if (stopping_ || deliver == nullptr || deliver->draining)
        return;
    // It ends of itself when its deliver worker has gone, whose end is only not yet known.
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    log_.warning("process " + current_.cfg.text("daemon_directory") + "/mtad (spawner) " +
                 (WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status))
                                      : "exit status " + std::to_string(WEXITSTATUS(status))));
    plan_restart(std::string(spawner_plan), status, dead.started, true);
}

// A new deliver worker came with a spawner of its own.
void supervisor::replace_spawner() {
    for (const auto& one : workers_.children())
        if (one.role == "deliver" && !one.draining && !workers_.has_spawner(one)) {
            if (auto started = workers_.start_spawner(one); !started) {
                log_.error(started.error().text());
                plans_.again_after(std::string(spawner_plan), current_.cfg[param::service_throttle_time]);
            }
            return;
        }
}

void supervisor::reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (const auto served = workers_.remove_spawner(pid))
            on_spawner_death(*served, status);
        else if (const auto dead = workers_.remove(pid))
            on_death(*dead, status);
    }
}

void supervisor::restart_due() {
    if (stopping_)
        return;
    while (const auto due = plans_.take_due()) {
        if (*due == spawner_plan)
            replace_spawner();
        else
            start_or_retry(*due);
    }
}

void supervisor::refuse_reload(const std::string& why) {
    log_.error("reload: " + why + "; the old configuration stays");
    abandon_rehearsal();
}

void supervisor::abandon_rehearsal() {
    if (rehearsal_)
        rehearsal_->abandon(workers_);
    rehearsal_.reset();
}

void supervisor::reload() {
    reload_again_ = rehearsal_.has_value(); // once more, when it is known what comes of the one that is under way
    if (reload_again_)
        return;
    auto begun = rehearsal::begin(workers_, options_.config_directory, current_);
    if (begun)
        rehearsal_.emplace(std::move(*begun));
    else
        refuse_reload(begun.error().text());
}

void supervisor::on_rehearsed(const child& ended, int status) {
    if (!rehearsal_)
        return;
    const auto outcome = rehearsal_->ended(ended.pid, status);
    if (outcome == rehearsal::outcome::failed)
        refuse_reload("a " + ended.role + " worker could not start with it");
    else if (outcome == rehearsal::outcome::succeeded)
        change_over();
    if (!rehearsal_ && std::exchange(reload_again_, false))
        reload();
}

// The second half: new workers start on the new configuration; the old ones finish their sessions.
void supervisor::change_over() {
    take(rehearsal_->take_configuration(), rehearsal_->take_log());
    rehearsal_.reset();
    log_.info("reload -- version " + current_.cfg.text("mail_version") + ", configuration " +
              current_.cfg.directory());
    (void)announce();
    workers_.drain_all();
    plans_.clear();
    for (const auto role : worker_roles)
        start_or_retry(std::string(role));
    workers_.close_unwanted_listeners();
}

void supervisor::begin_stop() {
    if (std::exchange(stopping_, true))
        return;
    abandon_rehearsal();
    reload_again_ = false;
    stop_deadline_ = clock::now() + stop_limit + milliseconds(600);
    workers_.stop_all();
}

void supervisor::on_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        switch (info.ssi_signo) {
        case SIGHUP:
            if (!stopping_)
                reload();
            break;
        case SIGTERM:
        case SIGINT:
            if (!stopping_)
                log_.info("terminating on signal " + std::to_string(info.ssi_signo));
            begin_stop();
            break;
        default:
            reap();
        }
    }
}

milliseconds supervisor::next_wait() const {
    auto until = clock::now() + seconds(60);
    if (rehearsal_)
        until = rehearsal_->until();
    until = stopping_ ? stop_deadline_ : plans_.next_before(until);
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - clock::now()));
}

void supervisor::loop() {
    std::vector<pollfd> waits;
    while (!(stopping_ && workers_.children().empty())) {
        waits.assign(1, pollfd{signals_.get(), POLLIN, 0});
        std::vector<pid_t> order;
        for (const auto& one : workers_.children())
            if (one.control) {
                waits.push_back({one.control.get(), POLLIN, 0});
                order.push_back(one.pid);
            }
        (void)::poll(waits.data(), waits.size(), static_cast<int>(next_wait().count()));
        for (std::size_t i = 0; i < order.size(); ++i) {
            if (waits[i + 1].revents == 0)
                continue;
            // By number, since handling one message may start or end others.
            if (auto* const one = workers_.find(order[i]))
                on_control(*one);
        }
        if (waits[0].revents != 0)
            on_signal();
        if (stopping_ && clock::now() >= stop_deadline_) {
            workers_.kill_all();
            stop_deadline_ = clock::now() + seconds(1);
        }
        if (rehearsal_ && clock::now() >= rehearsal_->until())
            refuse_reload("its workers did not start in time");
        restart_due();
    }
}

int supervisor::run() {
    if (auto started = start(); !started) {
        const std::string text = started.error().text();
        std::fprintf(stderr, "postfix/master: fatal: %s\n", printable(text).c_str());
        log_.fatal(text);
        workers_.kill_all();
        return 1;
    }
    log_.info("daemon started -- version " + current_.cfg.text("mail_version") + ", configuration " +
              current_.cfg.directory());
    if (options_.ready_fd >= 0) {
        const unique_fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        ::dup2(null.get(), STDERR_FILENO);
        (void)write_all(options_.ready_fd, "1");
        ::close(options_.ready_fd);
    }
    loop();
    return 0;
}

} // namespace

int run_supervisor(const start_options& options) {
    ::signal(SIGPIPE, SIG_IGN);
    return supervisor(options).run();
}

} // namespace mta::daemon
