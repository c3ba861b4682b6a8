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
#include <array>
#include <chrono>
#include <cstdio>
#include <map>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
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
#include "listeners.hpp"
#include "master_lock.hpp"
#include "roles.hpp"
#include "supervisor.hpp"

namespace mta::daemon {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct child {
    std::string role;
    pid_t pid = -1;
    unique_fd control;
    unsigned long slot = 0;
    clock::time_point started;
    bool ready = false;
    bool draining = false;
};

// When a role whose worker died may be started again.
struct restart_plan {
    clock::time_point at;
    int quick_deaths = 0;
    bool pending = false;
};

class supervisor {
public:
    explicit supervisor(start_options options) : options_(std::move(options)) {}
    int run();

private:
    result<void> start();
    result<void> load();
    result<void> take_locks();
    result<void> announce();
    result<void> start_worker(const std::string& role);
    result<void> introduce(child& to, const std::string& role);
    result<void> connect_peers(child& newcomer);
    result<void> connect(child& a, child& b);
    result<void> start_spawner(child& deliver);
    result<pid_t> execute(const std::vector<std::string>& words, unique_fd socket);
    void send_to(child& to, attr_writer& message, std::span<const int> fds = {});
    unsigned long free_slot() const;

    void loop();
    void on_signal();
    void on_control(child& from);
    void reap();
    void on_death(child dead, int status);
    void on_spawner_death(pid_t served, int status);
    void restart_due();
    milliseconds next_wait() const;
    void reload();
    void begin_stop();

    start_options options_;
    config::configuration cfg_ = config::configuration::defaults({});
    std::vector<config::service_line> services_;
    logger log_;
    user owner_;
    bool privileged_ = ::geteuid() == 0;
    bool stopping_ = false;
    clock::time_point stop_deadline_;
    master_lock lock_;
    listener_set listeners_;
    unique_fd signals_;
    std::vector<child> children_;
    std::map<pid_t, pid_t> spawners_; // to the deliver worker it serves
    unique_fd null_;
    std::map<std::string, restart_plan> plans_;
};

failure in_master_cf(const config::configuration& cfg, const config::service_line& line, std::string text) {
    return fail(errc::malformed, "file " + cfg.directory() + "/master.cf: line " + std::to_string(line.line) + ": " +
                                     std::move(text));
}

// Reads both files anew. What stands is kept when they do not parse.
result<void> supervisor::load() {
    auto cfg = config::configuration::load(options_.config_directory);
    if (!cfg)
        return tl::make_unexpected(cfg.error());
    if (auto valid = cfg->validate(); !valid)
        return valid;
    auto services = config::load_master(*cfg);
    if (!services)
        return tl::make_unexpected(services.error());
    for (const auto& line : *services)
        if (!role_of(line.program))
            return in_master_cf(*cfg, line, "unknown program \"" + line.program + "\"");
    auto log = config::open_mail_log(*cfg, "master");
    if (!log)
        return tl::make_unexpected(log.error());
    log_ = std::move(*log);
    if (privileged_) {
        auto owner = find_user(cfg->text("mail_owner"));
        if (!owner)
            return tl::make_unexpected(owner.error());
        if (!*owner)
            return fail(errc::malformed, cfg->directory() + "/main.cf: parameter mail_owner: unknown user name value: " +
                                             cfg->text("mail_owner"));
        if ((*owner)->uid == 0)
            return fail(errc::malformed, cfg->directory() +
                                             "/main.cf: parameter mail_owner: user must not have user ID 0");
        owner_ = **owner;
    } else {
        owner_.uid = ::geteuid();
        owner_.gid = ::getegid();
    }
    cfg_ = std::move(*cfg);
    services_ = std::move(*services);
    return {};
}

// Says once what the configuration asks for and does not get.
result<void> supervisor::announce() {
    for (const auto& name : config::ignored_parameters(cfg_))
        log_.warning(cfg_.directory() + "/main.cf: parameter " + name + " is known but not acted on by this version");
    for (const auto& line : services_) {
        if (role_of(line.program) == role::later && line.type == config::service_type::inet)
            log_.warning(cfg_.directory() + "/master.cf: line " + std::to_string(line.line) + ": program " + line.program +
                         " is not served by this version; the service stays closed");
        if (line.chroot && role_of(line.program) == role::receive)
            log_.warning(cfg_.directory() + "/master.cf: line " + std::to_string(line.line) +
                         ": chroot is not acted on by this version: " + line.program + " runs outside");
    }
    if (!privileged_)
        log_.warning("started by an ordinary user: running as that user, without mail_owner, chroot or ports below 1024");
    return {};
}

result<void> supervisor::take_locks() {
    const std::string queue = cfg_.text("queue_directory");
    auto options = queue::spool_options_from(cfg_);
    if (!privileged_)
        (void)::mkdir(queue.c_str(), 0755);
    auto spool = queue::spool::open(std::move(options));
    if (!spool)
        return tl::make_unexpected(spool.error());
    std::optional<gid_t> drop_group;
    if (privileged_) {
        auto group = find_group(cfg_.text("setgid_group"));
        if (!group)
            return tl::make_unexpected(group.error());
        if (!*group)
            return fail(errc::malformed, cfg_.directory() + "/main.cf: parameter setgid_group: unknown group name: " +
                                             cfg_.text("setgid_group"));
        drop_group = (*group)->gid;
    }
    if (auto made = privileged_ ? spool->make_directories(owner_.uid, drop_group) : spool->make_directories(); !made)
        return made;
    if (::chdir(queue.c_str()) != 0)
        return fail_errno("chdir " + queue);
    return lock_.take(cfg_.text("data_directory"), privileged_ ? &owner_ : nullptr);
}

result<void> supervisor::start() {
    if (auto loaded = load(); !loaded)
        return loaded;
    if (options_.ready_fd >= 0)
        null_ = unique_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
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
        if (auto started = start_worker(std::string(role)); !started)
            return started;
    return {};
}

unsigned long supervisor::free_slot() const {
    std::array<bool, slot_count> taken{};
    for (const auto& one : children_)
        taken[one.slot] = true;
    return static_cast<unsigned long>(std::ranges::find(taken, false) - taken.begin());
}

result<pid_t> supervisor::execute(const std::vector<std::string>& words, unique_fd socket) {
    std::vector<char*> arguments;
    for (const auto& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0)
        return fail_errno("fork");
    if (pid > 0)
        return pid;
    if (null_)
        ::dup2(null_.get(), STDERR_FILENO); // whoever reads the starter's output waits for its end
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (socket.get() == control_fd)
        ::fcntl(control_fd, F_SETFD, 0);
    else
        ::dup2(socket.get(), control_fd);
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(127);
}

void supervisor::send_to(child& to, attr_writer& message, std::span<const int> fds) {
    // A worker that died is noticed by its SIGCHLD; what was said to it is said again to its successor.
    (void)send_with_fds(to.control.get(), message.finish(), fds);
}

result<void> supervisor::introduce(child& to, const std::string& role) {
    attr_writer message;
    message.put("type", "identity").put("slot", static_cast<long long>(to.slot)).put("privileged", privileged_ ? 1 : 0);
    send_to(to, message);
    for (const auto& line : services_) {
        const auto served = role_of(line.program);
        if (!served || role_name(*served) != role)
            continue;
        auto fds = listeners_.open(cfg_, line, owner_, privileged_);
        if (!fds)
            return in_master_cf(cfg_, line, fds.error().text());
        message.put("type", "endpoint").put("service", line.name).put("service_type", config::to_string(line.type));
        message.put("program", line.program).put("wakeup", line.wakeup);
        message.put("process_limit", line.maxproc);
        for (const auto& [name, value] : line.settings)
            message.put("override:" + name, value);
        send_to(to, message, *fds);
    }
    return {};
}

result<void> supervisor::connect(child& a, child& b) {
    auto ends = socket_pair(SOCK_STREAM);
    if (!ends)
        return tl::make_unexpected(ends.error());
    const std::array<int, 1> first{ends->first.get()};
    const std::array<int, 1> second{ends->second.get()};
    attr_writer message;
    message.put("type", "peer").put("role", b.role);
    send_to(a, message, first);
    message.put("type", "peer").put("role", a.role);
    send_to(b, message, second);
    return {};
}

// The queue worker talks to every other one.
result<void> supervisor::connect_peers(child& newcomer) {
    for (auto& other : children_) {
        // An old receive worker still takes mail in the sessions that it finishes.
        if (other.pid == newcomer.pid || (other.draining && other.role != "receive"))
            continue;
        if (newcomer.role == "queue" || other.role == "queue")
            if (auto connected = connect(newcomer, other); !connected)
                return connected;
    }
    return {};
}

// The small root process through which the deliver worker's helpers become other users.
result<void> supervisor::start_spawner(child& deliver) {
    if (!privileged_)
        return {};
    auto ends = socket_pair(SOCK_STREAM);
    if (!ends)
        return tl::make_unexpected(ends.error());
    auto pid = execute({"mtad", "--spawner", "-c", options_.config_directory}, std::move(ends->first));
    if (!pid)
        return tl::make_unexpected(pid.error());
    spawners_[*pid] = deliver.pid;
    const std::array<int, 1> fds{ends->second.get()};
    attr_writer message;
    message.put("type", "spawner");
    send_to(deliver, message, fds);
    return {};
}

result<void> supervisor::start_worker(const std::string& role) {
    auto ends = socket_pair(SOCK_SEQPACKET);
    if (!ends)
        return tl::make_unexpected(ends.error());
    auto pid = execute({"mtad", "--worker=" + role, "-c", options_.config_directory}, std::move(ends->first));
    if (!pid)
        return tl::make_unexpected(pid.error());
    const auto slot = free_slot();
    children_.push_back({role, *pid, std::move(ends->second), slot, clock::now()});
    auto& started = children_.back();
    if (auto told = introduce(started, role); !told)
        return told;
    if (auto connected = connect_peers(started); !connected)
        return connected;
    if (role == "deliver")
        if (auto spawned = start_spawner(started); !spawned)
            return spawned;
    attr_writer message;
    message.put("type", "start");
    send_to(started, message);
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
    } else if (list->get("type") == "successor" && !from.draining && !stopping_) {
        log_.info("replacing the " + from.role + " worker: " + std::string(list->get("reason")));
        const std::string role = from.role;
        from.draining = true;
        attr_writer drain;
        drain.put("type", "drain");
        send_to(from, drain);
        if (auto started = start_worker(role); !started)
            log_.error(started.error().text());
    }
}

void supervisor::on_death(child dead, int status) {
    const std::string name = "process " + cfg_.text("daemon_directory") + "/mtad (" + dead.role + ") pid " +
                             std::to_string(dead.pid);
    if (stopping_ || dead.draining)
        return;
    if (WIFSIGNALED(status))
        log_.warning(name + " killed by signal " + std::to_string(WTERMSIG(status)));
    else
        log_.warning(name + " exit status " + std::to_string(WEXITSTATUS(status)));
    auto& plan = plans_[dead.role];
    const bool own_fault = !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
    const bool quick = !dead.ready || clock::now() - dead.started < seconds(10);
    plan.quick_deaths = own_fault && quick ? plan.quick_deaths + 1 : 0;
    const auto longest = cfg_[param::service_throttle_time];
    const auto delay = plan.quick_deaths == 0
                           ? milliseconds(0)
                           : std::min<milliseconds>(seconds(1) * (1 << std::min(plan.quick_deaths - 1, 10)), longest);
    if (plan.quick_deaths > 0)
        log_.warning(cfg_.text("daemon_directory") + "/mtad: bad command startup -- throttling");
    plan.at = clock::now() + delay;
    plan.pending = true;
}

// A spawner ends with its deliver worker; one that ends alone is replaced.
void supervisor::on_spawner_death(pid_t served, int status) {
    const auto it = std::ranges::find(children_, served, &child::pid);
    if (stopping_ || it == children_.end() || it->draining)
        return;
    log_.warning("process " + cfg_.text("daemon_directory") + "/mtad (spawner) " +
                 (WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status))
                                      : "exit status " + std::to_string(WEXITSTATUS(status))));
    if (auto started = start_spawner(*it); !started)
        log_.error(started.error().text());
}

void supervisor::reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (const auto spawner = spawners_.extract(pid); !spawner.empty()) {
            on_spawner_death(spawner.mapped(), status);
            continue;
        }
        const auto it = std::ranges::find(children_, pid, &child::pid);
        if (it == children_.end())
            continue;
        child dead = std::move(*it);
        children_.erase(it);
        on_death(std::move(dead), status);
    }
}

void supervisor::restart_due() {
    if (stopping_)
        return;
    for (auto& [role, plan] : plans_) {
        if (!plan.pending || plan.at > clock::now())
            continue;
        plan.pending = false;
        if (auto started = start_worker(role); !started)
            log_.error(started.error().text());
    }
}

// New workers start on the new configuration; the old ones finish their sessions.
void supervisor::reload() {
    auto stand = std::pair(cfg_, services_);
    if (auto loaded = load(); !loaded) {
        log_.error("reload: " + loaded.error().text() + "; the old configuration stays");
        std::tie(cfg_, services_) = std::move(stand);
        return;
    }
    log_.info("reload -- version " + cfg_.text("mail_version") + ", configuration " + cfg_.directory());
    (void)announce();
    for (auto& one : children_) {
        if (std::exchange(one.draining, true))
            continue;
        attr_writer message;
        message.put("type", "drain");
        send_to(one, message);
    }
    plans_.clear();
    for (const auto role : worker_roles)
        if (auto started = start_worker(std::string(role)); !started)
            log_.error(started.error().text());
    listeners_.sweep();
}

void supervisor::begin_stop() {
    if (std::exchange(stopping_, true))
        return;
    stop_deadline_ = clock::now() + stop_limit + milliseconds(600);
    for (auto& one : children_) {
        attr_writer message;
        message.put("type", "stop");
        send_to(one, message);
    }
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
    if (stopping_)
        until = stop_deadline_;
    for (const auto& [role, plan] : plans_)
        if (plan.pending && !stopping_)
            until = std::min(until, plan.at);
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - clock::now()));
}

void supervisor::loop() {
    std::vector<pollfd> waits;
    while (!(stopping_ && children_.empty())) {
        waits.assign(1, pollfd{signals_.get(), POLLIN, 0});
        std::vector<pid_t> order;
        for (const auto& one : children_)
            if (one.control) {
                waits.push_back({one.control.get(), POLLIN, 0});
                order.push_back(one.pid);
            }
        (void)::poll(waits.data(), waits.size(), static_cast<int>(next_wait().count()));
        for (std::size_t i = 0; i < order.size(); ++i) {
            if (waits[i + 1].revents == 0)
                continue;
            // By number, since handling one message may start or end others.
            const auto it = std::ranges::find(children_, order[i], &child::pid);
            if (it != children_.end())
                on_control(*it);
        }
        if (waits[0].revents != 0)
            on_signal();
        if (stopping_ && clock::now() >= stop_deadline_) {
            for (const auto& one : children_)
                ::kill(one.pid, SIGKILL);
            stop_deadline_ = clock::now() + seconds(1);
        }
        restart_due();
    }
}

int supervisor::run() {
    if (auto started = start(); !started) {
        const std::string text = started.error().text();
        std::fprintf(stderr, "postfix/master: fatal: %s\n", printable(text).c_str());
        log_.fatal(text);
        for (const auto& one : children_)
            ::kill(one.pid, SIGKILL);
        return 1;
    }
    log_.info("daemon started -- version " + cfg_.text("mail_version") + ", configuration " + cfg_.directory());
    if (options_.ready_fd >= 0) {
        ::dup2(null_.get(), STDERR_FILENO);
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
