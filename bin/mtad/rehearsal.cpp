#include <signal.h>
#include <sys/wait.h>

#include <mta/config/command_log.hpp>

#include "rehearsal.hpp"
#include "roles.hpp"

namespace mta::daemon {
namespace {

// Tables that answer slowly are opened meanwhile.
constexpr auto longest = std::chrono::seconds(60);

// What running processes cannot change to.
result<void> stays_in_place(const configuration& now, const configuration& next) {
    for (const std::string name : {"queue_directory", "data_directory"})
        if (next.text(name) != now.text(name))
            return fail(errc::not_permitted, next.directory() + "/main.cf: to change " + name +
                                                 ", stop and start the mail system");
    return {};
}

} // namespace

rehearsal::rehearsal(configuration_at_hand next, logger log)
    : next_(std::move(next)), log_(std::move(log)), until_(std::chrono::steady_clock::now() + longest) {}

result<rehearsal> rehearsal::begin(worker_set& workers, const std::string& config_directory,
                                   const configuration_at_hand& current) {
    if (!workers.room_for(2 * worker_roles.size()))
        return fail(errc::temporary, "too many old workers still finish their sessions");
    auto next = read_configuration(config_directory, current.privileged);
    if (!next)
        return tl::make_unexpected(next.error());
    if (auto same = stays_in_place(current.cfg, next->cfg); !same)
        return tl::make_unexpected(same.error());
    auto log = config::open_mail_log(next->cfg, "master");
    if (!log)
        return tl::make_unexpected(log.error());
    if (auto opened = workers.open_listeners(*next); !opened)
        return tl::make_unexpected(opened.error());
    rehearsal out(std::move(*next), std::move(*log));
    for (const auto role : worker_roles) {
        auto pid = workers.rehearse(std::string(role), out.next_);
        if (!pid) {
            out.abandon(workers);
            return tl::make_unexpected(pid.error());
        }
        out.running_.insert(*pid);
    }
    return out;
}

rehearsal::outcome rehearsal::ended(pid_t pid, int status) {
    if (running_.erase(pid) == 0)
        return outcome::unconcerned;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return outcome::failed;
    return running_.empty() ? outcome::succeeded : outcome::goes_on;
}

void rehearsal::abandon(worker_set& workers) noexcept {
    for (const auto pid : running_)
        ::kill(pid, SIGKILL);
    workers.close_unwanted_listeners();
}

} // namespace mta::daemon
