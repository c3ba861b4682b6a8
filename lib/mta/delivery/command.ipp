#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

#include <mta/core/file.hpp>
#include <mta/core/sysexits.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/command.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::delivery {
namespace {

using command_clock = std::chrono::steady_clock;

// The message, a piece at a time: From_ line, headers, text as it is.
class message_text {
public:
    [[nodiscard]] static result<message_text> open(const mailbox_job& job, int queue_file) {
        unique_fd copy(::fcntl(queue_file, F_DUPFD_CLOEXEC, 3));
        if (!copy)
            return fail_errno("error reading message");
        auto file = queue::queue_file::adopt(std::move(copy));
        if (!file)
            return tl::make_unexpected(file.error());
        if (auto started = file->start_content(job.data_offset); !started)
            return tl::make_unexpected(started.error());
        return message_text(std::move(*file), from_line(job.sender, ::time(nullptr)) + mailbox_headers(job));
    }

    // More of it; empty at its end.
    [[nodiscard]] result<std::string_view> piece() {
        while (buffer_.size() < piece_size) {
            std::string_view line;
            bool unterminated = false;
            auto more = file_.next_line(line, unterminated);
            if (!more)
                return tl::make_unexpected(more.error());
            if (!*more)
                break;
            buffer_ += line;
            if (!unterminated)
                buffer_ += '\n';
        }
        return std::string_view(buffer_);
    }
    void consume(std::size_t count) { buffer_.erase(0, count); }

private:
    static constexpr std::size_t piece_size = 16384;
    message_text(queue::queue_file file, std::string head) : file_(std::move(file)), buffer_(std::move(head)) {}
    queue::queue_file file_;
    std::string buffer_;
};

std::vector<char*> command_pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const auto& word : words)
        out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

// Everything that the child needs, made before the fork: it may not allocate, beside other threads.
struct prepared_command {
    explicit prepared_command(const command_job& job) {
        if (!job.shell.empty()) {
            for (const auto word : split(job.shell, " \t\n"))
                shell.emplace_back(word);
            shell.push_back(job.line);
        } else {
            if (needs_no_shell(job.line))
                for (const auto word : split(job.line, " \t\n"))
                    direct.emplace_back(word);
            shell = {"sh", "-c", job.line};
        }
        shell_path = job.shell.empty() ? "/bin/sh" : shell.front();
        direct_pointers = command_pointers(direct);
        shell_pointers = command_pointers(shell);
        environment = command_pointers(job.environment);
    }
    std::vector<std::string> direct, shell;
    std::string shell_path;
    std::vector<char*> direct_pointers, shell_pointers, environment;
};

void say(const char* text) { (void)!::write(STDERR_FILENO, text, std::strlen(text)); }

// The words that go to the status text come from the command's side, as they do from local(8).
[[noreturn]] void give_up(const char* what, const char* name) {
    const int reason = errno;
    say("local: fatal: ");
    say(what);
    say(" ");
    say(name);
    say(": ");
    say(::strerrordesc_np(reason) == nullptr ? "unknown error" : ::strerrordesc_np(reason));
    say("\n");
    ::_exit(ex_tempfail);
}

[[noreturn]] void become_command(const command_job& job, prepared_command& command, int input, int output) {
    (void)::setsid();
    const uid_t own = ::geteuid(); // of a helper that its user may not kill, the other two are not the user's
    if (::setresuid(own, own, own) != 0 || ::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0 || ::close_range(3, ~0U, 0) != 0)
        ::_exit(ex_tempfail);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < NSIG; ++number)
        if (number != SIGPIPE && number != SIGXFSZ)
            std::signal(number, SIG_DFL);
    std::signal(SIGPIPE, SIG_IGN); // both as local(8) has them
    std::signal(SIGXFSZ, SIG_IGN);
    ::umask(077);
    if (job.file_limit > 0) {
        const struct rlimit files {static_cast<rlim_t>(job.file_limit), static_cast<rlim_t>(job.file_limit)};
        (void)::setrlimit(RLIMIT_FSIZE, &files);
    }
    if (!job.directory.empty() && ::chdir(job.directory.c_str()) != 0)
        ::_exit(ex_tempfail); // with nothing said: whose directory it is, is nobody else's business
    environ = command.environment.data();
    if (!command.direct.empty()) {
        ::execvp(command.direct_pointers.front(), command.direct_pointers.data());
        if (errno != ENOENT || std::strchr(command.direct_pointers.front(), '/') != nullptr)
            give_up("execvp", command.direct_pointers.front());
        // It may be something that the shell has built in.
    }
    ::execvp(command.shell_path.c_str(), command.shell_pointers.data());
    give_up("execv", command.shell_path.c_str());
}

struct command_pipe {
    unique_fd reading, writing;
};

result<command_pipe> new_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno("pipe");
    // Never 0 to 2, which the child is about to fill.
    command_pipe out{unique_fd(::fcntl(ends[0], F_DUPFD_CLOEXEC, 3)), unique_fd(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3))};
    ::close(ends[0]);
    ::close(ends[1]);
    if (!out.reading || !out.writing)
        return fail_errno("pipe");
    return out;
}

// A running command, its input being fed and its output being read.
class running_command {
public:
    running_command(pid_t pid, unique_fd input, unique_fd output, message_text message, int limit)
        : pid_(pid), input_(std::move(input)), output_(std::move(output)), message_(std::move(message)),
          deadline_(command_clock::now() + std::chrono::seconds(limit)) {}

    [[nodiscard]] command_end watch() {
        while ((input_ || output_) && !end_.timed_out && step()) {
        }
        while (!end_.timed_out && !reap(WNOHANG))
            if (!pause())
                break;
        if (end_.timed_out)
            kill_all();
        return std::move(end_);
    }
    [[nodiscard]] bool unreadable() const noexcept { return unreadable_; }

private:
    [[nodiscard]] int left() const {
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - command_clock::now());
        return static_cast<int>(std::max<long long>(rest.count(), 0));
    }

    // False when the time is up.
    bool step() {
        struct pollfd wanted[2] = {{input_ ? input_.get() : -1, POLLOUT, 0}, {output_ ? output_.get() : -1, POLLIN, 0}};
        const int ready = ::poll(wanted, 2, left());
        if (ready < 0 && errno == EINTR)
            return true;
        if (ready <= 0) {
            end_.timed_out = true;
            return false;
        }
        if (wanted[0].revents != 0)
            feed();
        if (wanted[1].revents != 0)
            listen();
        return true;
    }

    void feed() {
        auto text = message_.piece();
        if (!text || text->empty()) {
            unreadable_ = end_.timed_out = !text; // half a message is none: whoever got it must not go on
            input_ = unique_fd();
            return;
        }
        const auto written = ::write(input_.get(), text->data(), text->size());
        if (written > 0)
            message_.consume(static_cast<std::size_t>(written));
        else if (errno != EAGAIN && errno != EINTR)
            input_ = unique_fd(); // it does not want more, which is its own affair
    }

    void listen() {
        char bytes[4096];
        const auto got = ::read(output_.get(), bytes, std::min(sizeof bytes, command_output_limit - end_.output.size()));
        if (got > 0)
            end_.output.append(bytes, static_cast<std::size_t>(got));
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || end_.output.size() >= command_output_limit)
            output_ = unique_fd();
    }

    bool reap(int how) {
        pid_t found = 0;
        while ((found = ::waitpid(pid_, &end_.wait_status, how)) < 0 && errno == EINTR) {
        }
        return found != 0;
    }

    // Waits a little for the end of the command, whose descriptors are all closed. False when the time is up.
    bool pause() {
        const int rest = left();
        end_.timed_out = rest == 0;
        (void)::poll(nullptr, 0, std::min(rest, nap_));
        nap_ = std::min(2 * nap_, 50);
        return !end_.timed_out;
    }

    void kill_all();

    pid_t pid_;
    unique_fd input_, output_;
    message_text message_;
    command_clock::time_point deadline_;
    command_end end_;
    bool unreadable_ = false;
    int nap_ = 1;
};

// Where this process adopts what its children leave behind, nothing escapes into a session of its own either.
void running_command::kill_all() {
    (void)::kill(-pid_, SIGKILL);
    (void)::kill(pid_, SIGKILL);
    (void)reap(0);
    int adopts = 0;
    if (::prctl(PR_GET_CHILD_SUBREAPER, &adopts, 0, 0, 0) != 0 || adopts == 0)
        return;
    const std::string list = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
    for (int round = 0; round < 1000; ++round) {
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        const auto text = read_file(list, std::size_t{1} << 20U);
        if (!text)
            return;
        const auto left_behind = split(*text, " \n");
        if (left_behind.empty())
            return;
        for (const auto word : left_behind)
            if (const auto pid = parse_integer(word); pid && *pid > 1)
                (void)::kill(static_cast<pid_t>(*pid), SIGKILL);
        (void)::poll(nullptr, 0, 1);
    }
}

} // namespace

status deliver_to_command(const command_job& job, int queue_file) {
    auto message = message_text::open(job.message, queue_file);
    if (!message)
        return defer("4.3.0", "error reading message: " + message.error().text());
    auto input = new_pipe();
    auto output = new_pipe();
    if (!input || !output)
        return defer("4.3.0", (input ? output : input).error().text());
    prepared_command command(job);
    const pid_t pid = ::fork();
    if (pid == 0)
        become_command(job, command, input->reading.get(), output->writing.get());
    if (pid < 0)
        return defer("4.3.0", "cannot start a process: " + std::generic_category().message(errno));
    input->reading = unique_fd();
    output->writing = unique_fd();
    (void)::fcntl(input->writing.get(), F_SETFL, O_NONBLOCK);
    running_command running(pid, std::move(input->writing), std::move(output->reading), std::move(*message),
                            job.time_limit);
    const auto how = running.watch();
    if (running.unreadable())
        return defer("4.3.0", "error reading message");
    return command_status(job, how);
}

} // namespace mta::delivery
