#include "delivery_helper.hpp"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include <mta/core/local_socket.hpp>
#include <mta/core/sysexits.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/helper_protocol.hpp>

namespace mta::daemon {
namespace {

// The planner keeps helpers for seconds; a helper that is forgotten leaves by itself.
constexpr std::chrono::minutes forgotten{5};

struct identity {
    delivery::helper_user user;
    uid_t keeper = 0; // with commands: who may signal this process
};

result<identity> user_from_environment() {
    const char* text = std::getenv(helper_user_variable);
    const auto words = split(std::string_view(text == nullptr ? "" : text), " ");
    if (words.size() != 2 && words.size() != 3)
        return fail(errc::malformed, "no user given");
    const auto uid = parse_integer(words[0]);
    const auto gid = parse_integer(words[1]);
    if (!uid || !gid || *uid <= 0 || *gid <= 0 || *uid > 0xFFFFFFFE || *gid > 0xFFFFFFFE)
        return fail(errc::malformed, "bad user");
    identity out{{static_cast<uid_t>(*uid), static_cast<gid_t>(*gid), words.size() == 3}, static_cast<uid_t>(*uid)};
    if (out.user.commands) {
        const auto keeper = parse_integer(words[2]);
        if (!keeper || *keeper <= 0 || *keeper > 0xFFFFFFFE)
            return fail(errc::malformed, "bad user");
        out.keeper = static_cast<uid_t>(*keeper);
    }
    return out;
}

// The change of user also makes the process undumpable: nobody may trace it for the message it holds.
//
// A helper that runs commands acts as their user, but is not his to kill: a command that kills all it may would be run
// again and again. It may gain rights (postdrop is set-gid), and adopts what its commands leave behind, to end that too.
bool become(const identity& what) {
    const auto who = what.user;
    const gid_t groups[] = {who.gid};
    if (::setgroups(1, groups) != 0 || ::setresgid(who.gid, who.gid, who.gid) != 0 ||
        ::setresuid(what.keeper, who.uid, what.keeper) != 0)
        return false;
    if (who.commands ? ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 : ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    return ::geteuid() == who.uid && ::getegid() == who.gid && ::setuid(0) != 0 &&
           ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

delivery::helper_answer answer_to(const message_with_fds& message, bool commands) {
    const auto request = delivery::helper_request::parse(message.bytes);
    if (!request)
        return {delivery::defer("4.3.0", request.error().text()), false, {}};
    const int queue_file = message.fds.empty() ? -1 : message.fds.front().get();
    if ((request->operation == delivery::helper_operation::run) != commands)
        return {delivery::defer("4.3.0", "delivery helper: not what it was started for"), false, {}};
    if (request->operation != delivery::helper_operation::read && queue_file < 0)
        return {delivery::defer("4.3.0", "delivery helper: no message was handed over"), false, {}};
    return delivery::perform(*request, queue_file);
}

} // namespace

int run_delivery_helper(int fd) {
    const auto who = user_from_environment();
    if (!who || !become(*who))
        return ex_noperm;
    ::unsetenv(helper_user_variable);
    std::signal(SIGXFSZ, SIG_IGN); // a file size limit is an error of write(2), not the end
    std::signal(SIGPIPE, SIG_IGN);
    ::umask(077);
    if (::chdir("/") != 0)
        return ex_oserr;
    for (;;) {
        if (!wait_readable(fd, forgotten))
            return ex_ok;
        const auto message = receive_with_fds(fd);
        if (!message || message->bytes.empty())
            return ex_ok;
        if (!send_with_fds(fd, answer_to(*message, who->user.commands).encode(), {}))
            return ex_ioerr;
        pid_t left = 0;
        while ((left = ::waitpid(-1, nullptr, WNOHANG)) > 0) { // what commands left behind, and has ended since
        }
        // Somebody goes on in the background, as he may after a good end: the time-out of another command is none of his
        // business, so that one is another helper's.
        if (left == 0)
            return ex_ok;
    }
}

} // namespace mta::daemon
