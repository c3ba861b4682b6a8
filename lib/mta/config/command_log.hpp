// What a command says about trouble: on standard error as "postmap: fatal: …", and in the mail log.
//
//     config::command_log log("postmap");        // stderr and, until configured, syslog as postfix/postmap
//     auto cfg = log.load(option_c);             // from here on syslog_name, syslog_facility, maillog_file count
//
// Nothing is opened before the first line is written. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

// What is copied to standard error: all; all when it is a terminal, else nothing; all when it is a terminal, else
// warnings and worse.
enum class copy_to_stderr { always, terminal_only, problems };

// Whether a command refuses to run when maillog_file is where maillog_file_prefixes does not allow it. Nobody writes there.
enum class mail_log { needed, optional };

class command_log {
public:
    // program is the name in messages (the base name of argv[0], or fixed for set-gid programs).
    // Every fatal error ends the process with fatal_status (sendmail 75, postqueue 69, most 1).
    explicit command_log(std::string program, int fatal_status = 1, copy_to_stderr copy = copy_to_stderr::always);

    // The configuration that -c, MAIL_CONFIG or the default names, in use for the log. Fatal when it cannot be had.
    [[nodiscard]] configuration load(std::optional<std::string_view> directory, mail_log place = mail_log::needed);

    // From now on the mail log is where this configuration says. Prints the warnings of loading it.
    void use(const configuration& cfg);
    // The same for what ordinary commands need; fatal by check_common_settings().
    void use_checked(const configuration& cfg, mail_log place = mail_log::needed);

    // Standard error shows the tag ("postfix/postfix-script: …") instead of the program's name.
    void show_tag() { show_tag_ = true; }

    // Replaces the tag, whatever syslog_name says; standard error shows it too.
    void set_tag(std::string tag) {
        tag_ = std::move(tag);
        own_tag_ = true;
        show_tag_ = true;
        log_.reset();
    }

    void info(std::string_view text) { log().info(text); }
    void warning(std::string_view text) { log().warning(text); }
    void error(std::string_view text) { log().error(text); }

    // Prints, logs, waits one second (scripts rely on it to slow down loops; MTAD_NO_FATAL_DELAY in the environment
    // of an ordinary caller turns it off for tests), exits.
    [[noreturn]] void fatal(std::string_view text);
    [[noreturn]] void fatal(const mta::error& problem) { fatal(problem.text()); }

    // For parts of the library that take a logger. Tag is SYSLOG_NAME/PROGRAM.
    [[nodiscard]] const logger& log();
    [[nodiscard]] const std::string& program() const noexcept { return program_; }

private:
    std::string program_;
    std::string tag_;
    std::string file_;
    int facility_;
    int fatal_status_;
    bool to_stderr_;
    severity least_to_stderr_;
    bool show_tag_ = false;
    bool own_tag_ = false;
    std::unique_ptr<logger> log_;
};

// The base name of argv[0].
[[nodiscard]] std::string_view program_name(const char* argv0) noexcept;

// A logger for a daemon part: no copy on stderr. tag is SYSLOG_NAME/name.
[[nodiscard]] result<logger> open_mail_log(const configuration& cfg, std::string_view name);

} // namespace mta::config
