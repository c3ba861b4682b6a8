// Log lines in the form that mail log readers know: to syslog or to a file (maillog_file).
//
//     Nov 21 02:06:28 host postfix/smtpd[123]: connect from unknown[127.0.0.1]
//
// The number in brackets is the process ID by default; mtad gives each live session or delivery a number of its own,
// since log readers join lines by it. One call is one line: control bytes and invalid UTF-8 are masked, and the
// text ends at 2000 bytes.
//
// The sink is opened once, before privileges are dropped, and shared. Writing never blocks the caller for long and
// never fails it: what could not be written is counted and reported with the next line that can.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta {

enum class severity { info, warning, error, fatal, panic };

// "", "warning: ", "error: ", "fatal: " or "panic: ".
[[nodiscard]] std::string_view severity_prefix(severity level) noexcept;

class log_sink {
public:
    virtual ~log_sink() = default;
    // tag is "postfix/smtpd", text is one line without its prefix.
    virtual void write(severity level, std::string_view tag, unsigned long number, std::string_view text) = 0;
};

// Datagrams to /dev/log with this facility (LOG_MAIL …). A syslogd that is absent or stuck costs lines, not mail.
[[nodiscard]] std::shared_ptr<log_sink> open_syslog(int facility);

// Appends to a file, or writes to /dev/stdout. One write a line, so that several processes may share it.
[[nodiscard]] result<std::shared_ptr<log_sink>> open_log_file(const std::string& path);

// Drops everything.
[[nodiscard]] std::shared_ptr<log_sink> no_log();

// A sink that copies each line, as "program: prefix text", to the descriptor (standard error of a command) and then
// hands it to next. Lines below least are handed on only.
[[nodiscard]] std::shared_ptr<log_sink> copy_to(int fd, std::string program, std::shared_ptr<log_sink> next,
                                                severity least = severity::info);

class logger {
public:
    logger() : logger(no_log(), {}) {}
    // number 0 means this process's ID.
    logger(std::shared_ptr<log_sink> sink, std::string tag, unsigned long number = 0);

    void log(severity level, std::string_view text) const { sink_->write(level, tag_, number_, text); }
    void info(std::string_view text) const { log(severity::info, text); }
    void warning(std::string_view text) const { log(severity::warning, text); }
    void error(std::string_view text) const { log(severity::error, text); }
    void fatal(std::string_view text) const { log(severity::fatal, text); } // logs only; exiting is the caller's
    void panic(std::string_view text) const { log(severity::panic, text); }

    [[nodiscard]] logger with_number(unsigned long number) const { return {sink_, tag_, number}; }
    [[nodiscard]] logger with_tag(std::string tag) const { return {sink_, std::move(tag), number_}; }
    [[nodiscard]] const std::string& tag() const noexcept { return tag_; }
    [[nodiscard]] const std::shared_ptr<log_sink>& sink() const noexcept { return sink_; }

private:
    std::shared_ptr<log_sink> sink_;
    std::string tag_;
    unsigned long number_;
};

} // namespace mta
