#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <mutex>

#include <mta/core/file.hpp>
#include <mta/core/log.hpp>
#include <mta/core/text.hpp>
#include <mta/core/unique_fd.hpp>

namespace mta {

std::string_view severity_prefix(severity level) noexcept {
    switch (level) {
    case severity::info:
        return "";
    case severity::warning:
        return "warning: ";
    case severity::error:
        return "error: ";
    case severity::fatal:
        return "fatal: ";
    case severity::panic:
        return "panic: ";
    }
    return "";
}

namespace {

// The reference's: what others say at length shall not fill the log (tests/interop/smtp_client.py).
constexpr std::size_t longest_text = 2000;

// "Nov 21 02:06:28 " of now, formatted once a second.
class time_stamp {
public:
    std::string text() {
        const std::time_t now = std::time(nullptr);
        const std::scoped_lock guard(mutex_);
        if (now != at_) {
            std::tm parts{};
            char buffer[32];
            ::localtime_r(&now, &parts);
            text_.assign(buffer, std::strftime(buffer, sizeof buffer, "%b %e %H:%M:%S ", &parts));
            at_ = now;
        }
        return text_;
    }

private:
    std::mutex mutex_;
    std::time_t at_ = -1;
    std::string text_;
};

void append_body(std::string& line, severity level, std::string_view tag, unsigned long number, std::string_view text) {
    line += tag;
    line += '[';
    line += std::to_string(number);
    line += "]: ";
    std::string body(severity_prefix(level));
    body += printable(text.substr(0, longest_text + 4)); // one whole character more
    if (body.size() > longest_text) {
        // No half character at the end.
        std::size_t end = longest_text;
        while ((static_cast<unsigned char>(body[end]) & 0xC0) == 0x80)
            --end;
        body.resize(end);
    }
    line += body;
}

class null_sink final : public log_sink {
public:
    void write(severity, std::string_view, unsigned long, std::string_view) override {}
};

class file_sink final : public log_sink {
public:
    explicit file_sink(unique_fd fd) : fd_(std::move(fd)) {
        char name[256] = {};
        if (::gethostname(name, sizeof name - 1) == 0)
            host_ = name;
        host_.resize(std::min(host_.find('.'), host_.size()));
    }
    void write(severity level, std::string_view tag, unsigned long number, std::string_view text) override {
        std::string line = stamp_.text();
        line += host_;
        line += ' ';
        append_body(line, level, tag, number, text);
        line += '\n';
        (void)write_all(fd_.get(), line);
    }

private:
    unique_fd fd_;
    std::string host_;
    time_stamp stamp_;
};

class syslog_sink final : public log_sink {
public:
    explicit syslog_sink(int facility) : facility_(facility) { connect(); }
    void write(severity level, std::string_view tag, unsigned long number, std::string_view text) override {
        static constexpr int priorities[] = {LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT, LOG_CRIT};
        std::string line = "<" + std::to_string(facility_ | priorities[static_cast<int>(level)]) + ">" + stamp_.text();
        append_body(line, level, tag, number, text);
        if (const auto lost = dropped_.exchange(0); lost > 0 && !send("<" + std::to_string(facility_ | LOG_WARNING) + ">" +
                                                                   stamp_.text() + std::string(tag) + ": warning: " +
                                                                   std::to_string(lost) + " log lines were lost"))
            dropped_ += lost;
        if (!send(line))
            ++dropped_;
    }

private:
    void connect() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, "/dev/log", sizeof "/dev/log");
        unique_fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            fd_ = std::move(fd);
    }
    bool send(const std::string& line) {
        if (fd_ && ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL) >= 0)
            return true;
        // syslogd was restarted: its socket is a new one.
        const std::scoped_lock guard(mutex_);
        fd_.reset();
        connect();
        return fd_ && ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL) >= 0;
    }

    int facility_;
    unique_fd fd_;
    std::mutex mutex_;
    std::atomic<unsigned long> dropped_{0};
    time_stamp stamp_;
};

class copying_sink final : public log_sink {
public:
    copying_sink(int fd, std::string program, std::shared_ptr<log_sink> next, severity least)
        : fd_(fd), program_(std::move(program)), next_(std::move(next)), least_(least) {}
    void write(severity level, std::string_view tag, unsigned long number, std::string_view text) override {
        if (level >= least_) {
            std::string line = program_ + ": ";
            line += severity_prefix(level);
            line += printable(text);
            line += '\n';
            (void)write_all(fd_, line);
        }
        next_->write(level, tag, number, text);
    }

private:
    int fd_;
    std::string program_;
    std::shared_ptr<log_sink> next_;
    severity least_;
};

} // namespace

std::shared_ptr<log_sink> no_log() {
    static const auto sink = std::make_shared<null_sink>();
    return sink;
}

std::shared_ptr<log_sink> open_syslog(int facility) { return std::make_shared<syslog_sink>(facility); }

result<std::shared_ptr<log_sink>> open_log_file(const std::string& path) {
    if (path == "/dev/stdout") {
        unique_fd copy(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
        if (!copy)
            return fail_errno("open " + path);
        return std::make_shared<file_sink>(std::move(copy));
    }
    auto fd = open_file(path, O_WRONLY | O_APPEND);
    if (!fd && fd.error().code == std::errc::no_such_file_or_directory) {
        fd = open_file(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
        if (fd)
            (void)::fchmod(fd->get(), 0644); // log readers are others, whatever the umask of a daemon
    }
    if (!fd)
        return tl::make_unexpected(fd.error());
    return std::make_shared<file_sink>(std::move(*fd));
}

std::shared_ptr<log_sink> copy_to(int fd, std::string program, std::shared_ptr<log_sink> next, severity least) {
    return std::make_shared<copying_sink>(fd, std::move(program), std::move(next), least);
}

logger::logger(std::shared_ptr<log_sink> sink, std::string tag, unsigned long number)
    : sink_(std::move(sink)), tag_(std::move(tag)),
      number_(number != 0 ? number : static_cast<unsigned long>(::getpid())) {}

} // namespace mta
