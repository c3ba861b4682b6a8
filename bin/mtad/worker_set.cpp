#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <mta/core/local_socket.hpp>

#include "control.hpp"
#include "roles.hpp"
#include "worker_set.hpp"

namespace mta::daemon {

namespace {

// An old worker may still be letting go of an address.
constexpr auto address_in_use_limit = std::chrono::seconds(10);
constexpr auto closing_limit = std::chrono::seconds(2);

// An error only when the message can be sent to nobody. A worker that died is noticed by its SIGCHLD; what was said to
// it is said again to its successor.
result<void> send_checked(const child& to, attr_writer& message, std::span<const int> fds) {
    auto sent = send_with_fds(to.control.get(), message.finish(), fds);
    if (!sent && sent.error().code == errc::too_large)
        return sent;
    return {};
}

// For messages that are short whatever the configuration says.
void send_to(const child& to, attr_writer& message, std::span<const int> fds = {}) {
    (void)send_checked(to, message, fds);
}

void say(const child& to, std::string_view type) {
    attr_writer message;
    message.put("type", type);
    send_to(to, message);
}

// The deliver worker's end of the connection with a spawner.
void hand_over_spawner(const child& deliver, const unique_fd& end) {
    const std::array<int, 1> fds{end.get()};
    attr_writer message;
    message.put("type", "spawner");
    send_to(deliver, message, fds);
}

bool is_served(const config::service_line& line) {
    const auto served = role_of(line.program);
    return served && *served != role::later;
}

} // namespace

void worker_set::silence() {
    null_ = unique_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

child* worker_set::find(pid_t pid) noexcept {
    const auto it = std::ranges::find(children_, pid, &child::pid);
    return it == children_.end() ? nullptr : &*it;
}

bool worker_set::room_for(std::size_t more) const noexcept { return children_.size() + more <= slot_count; }

void worker_set::drain(child& one) {
    if (!std::exchange(one.draining, true))
        say(one, "drain");
}

void worker_set::drain_all() {
    for (auto& one : children_)
        if (!one.rehearsal)
            drain(one);
}

void worker_set::drain_older(const child& newcomer) {
    for (auto& one : children_)
        if (one.role == newcomer.role && !one.rehearsal && one.pid != newcomer.pid && one.started < newcomer.started)
            drain(one);
}

void worker_set::stop_all() {
    for (const auto& one : children_)
        say(one, "stop");
}

void worker_set::kill_all() noexcept {
    for (const auto& one : children_)
        ::kill(one.pid, SIGKILL);
}

std::optional<child> worker_set::remove(pid_t pid) {
    const auto it = std::ranges::find(children_, pid, &child::pid);
    if (it == children_.end())
        return std::nullopt;
    child dead = std::move(*it);
    children_.erase(it);
    return dead;
}

std::optional<spawner_process> worker_set::remove_spawner(pid_t pid) {
    const auto node = spawners_.extract(pid);
    if (node.empty())
        return std::nullopt;
    return node.mapped();
}

std::optional<unsigned long> worker_set::free_slot() const {
    std::array<bool, slot_count> taken{};
    for (const auto& one : children_)
        taken[one.slot] = true;
    const auto free = std::ranges::find(taken, false);
    if (free == taken.end())
        return std::nullopt;
    return static_cast<unsigned long>(free - taken.begin());
}

result<pid_t> worker_set::execute(const std::vector<std::string>& words, unique_fd socket,
                                  const configuration_at_hand& with) {
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
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
    // Out of the way of each other first.
    const int control = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, files_fd + 1);
    const int files = ::fcntl(with.files->get(), F_DUPFD_CLOEXEC, files_fd + 1);
    if (::dup2(control, control_fd) != control_fd || ::dup2(files, files_fd) != files_fd)
        ::_exit(127);
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(127);
}

result<void> worker_set::open_listeners(const configuration_at_hand& next) {
    // A worker that was told to end just now closes its own soon.
    const bool closing = std::ranges::any_of(children_, &child::draining);
    const auto patience = closing ? closing_limit : std::chrono::seconds(0);
    for (const auto& line : next.services) {
        if (!is_served(line))
            continue;
        if (auto fds = listeners_.open(next.cfg, line, next.owner, next.privileged, patience); !fds) {
            close_unwanted_listeners();
            return in_master_cf(next.cfg, line, fds.error().text());
        }
    }
    return {};
}

void worker_set::close_unwanted_listeners() {
    listeners_.mark();
    for (const auto& line : current_.services)
        if (is_served(line)) // what cannot be opened now is tried again when its worker is started again
            (void)listeners_.open(current_.cfg, line, current_.owner, current_.privileged, std::chrono::seconds(0));
    listeners_.sweep();
}

result<void> worker_set::introduce(child& to, const configuration_at_hand& with) {
    attr_writer message;
    message.put("type", "identity")
        .put("slot", static_cast<long long>(to.slot))
        .put("privileged", with.privileged ? 1 : 0);
    send_to(to, message);
    for (const auto& line : with.services) {
        const auto served = role_of(line.program);
        if (!served || role_name(*served) != to.role)
            continue;
        auto fds = listeners_.open(with.cfg, line, with.owner, with.privileged, address_in_use_limit);
        if (!fds)
            return in_master_cf(with.cfg, line, fds.error().text());
        message.put("type", "endpoint")
            .put("service", line.name)
            .put("service_type", config::to_string(line.type));
        message.put("program", line.program).put("wakeup", line.wakeup);
        message.put("process_limit", line.maxproc);
        for (const auto& [name, value] : line.settings)
            message.put("override:" + name, value);
        if (fds->size() > max_message_fds)
            return in_master_cf(with.cfg, line,
                                "service " + line.name + " listens on " + std::to_string(fds->size()) +
                                    " addresses, more than " + std::to_string(max_message_fds) +
                                    ": shorten inet_interfaces, or use wildcard addresses");
        if (auto sent = send_checked(to, message, *fds); !sent)
            return in_master_cf(with.cfg, line,
                                "the -o settings of service " + line.name + " are longer than " +
                                    std::to_string(max_message_bytes) + " bytes: move them to main.cf");
    }
    return {};
}

result<void> worker_set::connect(child& a, child& b) {
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
result<void> worker_set::connect_peers(child& newcomer) {
    for (auto& other : children_) {
        // An old receive worker still takes mail in the sessions that it finishes.
        if (other.pid == newcomer.pid || other.rehearsal || (other.draining && other.role != "receive"))
            continue;
        if (newcomer.role == "queue" || other.role == "queue")
            if (auto connected = connect(newcomer, other); !connected)
                return connected;
    }
    return {};
}

bool worker_set::has_spawner(const child& deliver) const {
    return std::ranges::any_of(spawners_, [&](const auto& one) { return one.second.serves == deliver.pid; });
}

result<void> worker_set::start_spawner(const child& deliver) {
    if (!current_.privileged)
        return {};
    auto ends = socket_pair(SOCK_STREAM);
    if (!ends)
        return tl::make_unexpected(ends.error());
    auto pid = execute({"mtad", "--spawner", "-c", current_.cfg.directory()}, std::move(ends->first), current_);
    if (!pid)
        return tl::make_unexpected(pid.error());
    spawners_[*pid] = {deliver.pid, std::chrono::steady_clock::now()};
    hand_over_spawner(deliver, ends->second);
    return {};
}

result<child*> worker_set::launch(const std::string& role, const configuration_at_hand& with, bool rehearsal) {
    const auto slot = free_slot();
    if (!slot)
        return fail(errc::temporary, "too many workers that still finish their sessions");
    auto ends = socket_pair(SOCK_SEQPACKET);
    if (!ends)
        return tl::make_unexpected(ends.error());
    std::vector<std::string> words{"mtad", "--worker=" + role, "-c", with.cfg.directory()};
    if (rehearsal)
        words.emplace_back("--rehearsal");
    auto pid = execute(words, std::move(ends->first), with);
    if (!pid)
        return tl::make_unexpected(pid.error());
    children_.push_back({role, *pid, std::move(ends->second), *slot, std::chrono::steady_clock::now()});
    children_.back().rehearsal = rehearsal;
    return &children_.back();
}

result<void> worker_set::start(const std::string& role) {
    auto launched = launch(role, current_, false);
    if (!launched)
        return tl::make_unexpected(launched.error());
    auto& started = **launched;
    if (auto ready = prepare(started); !ready) {
        // Half of a worker serves nobody; its end is awaited like any other's, and starts nothing.
        started.draining = true;
        ::kill(started.pid, SIGKILL);
        return ready;
    }
    say(started, "start");
    return {};
}

result<pid_t> worker_set::rehearse(const std::string& role, const configuration_at_hand& next) {
    auto launched = launch(role, next, true);
    if (!launched)
        return tl::make_unexpected(launched.error());
    auto& started = **launched;
    if (auto told = introduce(started, next); !told) {
        ::kill(started.pid, SIGKILL);
        return tl::make_unexpected(told.error());
    }
    if (next.privileged && role == "deliver")
        if (const auto ends = socket_pair(SOCK_STREAM))
            hand_over_spawner(started, ends->first); // which leads to none: a rehearsal does not use it
    say(started, "start");
    return started.pid;
}

result<void> worker_set::prepare(child& started) {
    if (auto told = introduce(started, current_); !told)
        return told;
    if (auto connected = connect_peers(started); !connected)
        return connected;
    if (started.role == "deliver")
        return start_spawner(started);
    return {};
}

} // namespace mta::daemon
