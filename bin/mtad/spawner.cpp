#include "spawner.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <vector>

#include <mta/config/command_log.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/sysexits.hpp>
#include <mta/core/users.hpp>
#include <mta/delivery/helper_protocol.hpp>

#include "configuration_at_hand.hpp"
#include "control.hpp"
#include "delivery_helper.hpp"

namespace mta::daemon {
namespace {

struct forbidden {
    uid_t mail_owner = 0;
    gid_t mail_group = 0;
    gid_t setgid_group = 0;
};

result<forbidden> read_forbidden(const config::configuration& cfg) {
    const auto owner = find_user(cfg[param::mail_owner]);
    if (!owner)
        return tl::make_unexpected(owner.error());
    if (!*owner)
        return fail(errc::malformed, "unknown mail_owner: " + cfg[param::mail_owner]);
    const auto drop = find_group(cfg[param::setgid_group]);
    if (!drop)
        return tl::make_unexpected(drop.error());
    if (!*drop)
        return fail(errc::malformed, "unknown setgid_group: " + cfg[param::setgid_group]);
    return forbidden{(*owner)->uid, (*owner)->gid, (*drop)->gid};
}

bool allowed(const forbidden& never, delivery::helper_user who) {
    return who.uid != 0 && who.gid != 0 && who.uid != never.mail_owner && who.gid != never.mail_group &&
           who.gid != never.setgid_group;
}

void refuse(int socket, const std::string& why) {
    const delivery::helper_answer answer{delivery::defer("4.3.5", why), false, {}};
    (void)send_with_fds(socket, answer.encode(), {});
}

// In the child. The change of user happens in the helper, after its exec: so it can never be traced by that user.
[[noreturn]] void become_helper(delivery::helper_user who, uid_t keeper, int socket) {
    std::signal(SIGCHLD, SIG_DFL);
    std::signal(SIGPIPE, SIG_DFL);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd)
        if (::dup2(null, fd) != fd)
            ::_exit(ex_oserr);
    // control_fd is what the helper's main() expects; everything above is closed.
    if (socket == control_fd ? ::fcntl(socket, F_SETFD, 0) != 0 : ::dup2(socket, control_fd) != control_fd)
        ::_exit(ex_oserr);
    if (::close_range(control_fd + 1, ~0U, 0) != 0)
        ::_exit(ex_oserr);
    (void)::setpgid(0, 0);
    std::string user = std::string(helper_user_variable) + "=" + std::to_string(who.uid) + " " +
                       std::to_string(who.gid) + (who.commands ? " " + std::to_string(keeper) : "");
    std::string zone = "TZ=";
    std::vector<char*> environment{user.data()};
    if (const char* set = std::getenv("TZ"); set != nullptr) {
        zone += set;
        environment.push_back(zone.data());
    }
    environment.push_back(nullptr);
    char name[] = "mtad";
    char role[] = "--delivery-helper";
    std::array<char*, 3> arguments{name, role, nullptr};
    ::execve("/proc/self/exe", arguments.data(), environment.data());
    ::_exit(127);
}

// One request. False when the stream has ended or makes no sense any more.
bool serve_one(int fd, const forbidden& never) {
    auto message = receive_with_fds(fd);
    if (!message || message->fds.size() != 1)
        return false;
    const auto who = delivery::parse_spawn_request(message->bytes);
    if (!who)
        return false;
    const int socket = message->fds.front().get();
    if (!allowed(never, *who)) {
        refuse(socket, "delivery as uid " + std::to_string(who->uid) + " gid " + std::to_string(who->gid) +
                           " is not allowed");
        return true;
    }
    const pid_t pid = ::fork();
    if (pid == 0)
        become_helper(*who, never.mail_owner, socket);
    if (pid < 0)
        refuse(socket, "cannot start a delivery helper: " + std::generic_category().message(errno));
    return true;
}

} // namespace

int run_spawner(int fd, const std::string& config_directory) {
    const std::string directory =
        config_directory.empty() ? std::string(config::default_directory()) : config_directory;
    config::command_log log("spawner", ex_config, config::copy_to_stderr::terminal_only);
    if (auto adopted = adopt_files_at_hand(); !adopted)
        log.fatal(adopted.error());
    const auto cfg = config::configuration::load(directory);
    if (!cfg)
        log.fatal(cfg.error());
    log.use(*cfg);
    const auto never = read_forbidden(*cfg);
    if (!never)
        log.fatal(never.error());
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        log.fatal("spawner: bad socket");
    std::signal(SIGCHLD, SIG_IGN); // helpers are not waited for
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    ::umask(077);
    while (serve_one(fd, *never)) {
    }
    return ex_ok;
}

} // namespace mta::daemon
