#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include <mta/core/child.hpp>
#include <mta/core/file.hpp>

namespace mta {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (const auto& word : words)
        out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

} // namespace

result<pid_t> start_child(const std::string& path, const child_options& options) {
    auto arguments = pointers(options.arguments);
    auto environment = pointers(options.environment);
    posix_spawn_file_actions_t actions;
    if (::posix_spawn_file_actions_init(&actions) != 0)
        return fail_errno("spawn " + path, ENOMEM);
    // A descriptor below 3 that must move first, so that no later dup2 overwrites it, cannot occur: callers pass
    // either the standard ones or new ones above 2.
    const std::array<int, 3> from{options.input, options.output, options.errors};
    for (int to = 0; to < 3; ++to)
        ::posix_spawn_file_actions_adddup2(&actions, from[static_cast<std::size_t>(to)], to);
    pid_t pid = -1;
    const int code = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments.data(),
                                   options.environment.empty() ? environ : environment.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        return fail_errno("execute " + path, code);
    return pid;
}

result<int> wait_child(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno("wait for process " + std::to_string(pid));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string executable_directory() {
    std::string path(4096, '\0');
    const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
    if (length <= 0)
        return ".";
    path.resize(static_cast<std::size_t>(length));
    return parent_directory(path);
}

} // namespace mta
