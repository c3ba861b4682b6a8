// Bodies of command_log.hpp.
#include <mta/config/command_log.hpp>

#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <mta/config/common_settings.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

inline int facility_number(std::string_view name) noexcept {
    constexpr std::array<std::pair<std::string_view, int>, 20> names{{
        {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
        {"ftp", LOG_FTP},       {"kern", LOG_KERN},         {"lpr", LOG_LPR},       {"mail", LOG_MAIL},
        {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},     {"user", LOG_USER},     {"uucp", LOG_UUCP},
        {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
        {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
    }};
    for (const auto& [known, number] : names)
        if (known == name)
            return number;
    return LOG_MAIL;
}

inline result<void> check_log_place(const configuration& cfg) {
    const auto& file = cfg[param::maillog_file];
    const auto& prefixes = cfg[param::maillog_file_prefixes];
    const auto allowed = [&](const std::string& prefix) { return file.starts_with(prefix); };
    if (file.empty() || std::any_of(prefixes.begin(), prefixes.end(), allowed))
        return {};
    return fail(errc::not_permitted, "maillog_file value '" + file + "' does not match any prefix in maillog_file_prefixes");
}

// An empty maillog_file is syslog; a file that cannot be opened (an ordinary user's command) falls back to syslog.
inline std::shared_ptr<log_sink> mail_log_sink(const std::string& file, int facility) {
    if (!file.empty())
        if (auto opened = open_log_file(file))
            return *opened;
    return open_syslog(facility);
}

} // namespace detail

command_log::command_log(std::string program, int fatal_status, copy_to_stderr copy)
    : program_(std::move(program)), tag_("postfix/" + program_), facility_(LOG_MAIL), fatal_status_(fatal_status),
      to_stderr_(copy != copy_to_stderr::terminal_only || isatty(STDERR_FILENO) == 1),
      least_to_stderr_(copy == copy_to_stderr::problems && isatty(STDERR_FILENO) != 1 ? severity::warning
                                                                                      : severity::info) {
    if (const char* tag = std::getenv("MAIL_LOGTAG"); tag != nullptr && who_calls() == caller::trusted)
        tag_ = std::string(tag) + "/" + program_;
}

configuration command_log::load(std::optional<std::string_view> directory, mail_log place) {
    const auto where = find_directory(directory);
    if (!where)
        fatal(where.error());
    auto cfg = configuration::load(where->directory);
    if (!cfg)
        fatal(cfg.error());
    use_checked(*cfg, place);
    return std::move(*cfg);
}

void command_log::use(const configuration& cfg) {
    if (!own_tag_ && (std::getenv("MAIL_LOGTAG") == nullptr || who_calls() == caller::restricted))
        tag_ = cfg[param::syslog_name] + "/" + program_;
    facility_ = detail::facility_number(cfg[param::syslog_facility]);
    file_ = detail::check_log_place(cfg) ? cfg[param::maillog_file] : std::string();
    utf8_is_printable = cfg[param::smtputf8_enable];
    log_.reset();
    for (const auto& line : cfg.warnings())
        warning(line);
}

void command_log::use_checked(const configuration& cfg, mail_log place) {
    use(cfg);
    if (const auto sane = check_common_settings(cfg); !sane)
        fatal(sane.error());
    if (const auto allowed = detail::check_log_place(cfg); !allowed && place == mail_log::needed)
        fatal(allowed.error());
}

const logger& command_log::log() {
    if (!log_) {
        auto sink = detail::mail_log_sink(file_, facility_);
        if (to_stderr_)
            sink = copy_to(STDERR_FILENO, show_tag_ ? tag_ : program_, std::move(sink), least_to_stderr_);
        log_ = std::make_unique<logger>(std::move(sink), tag_);
    }
    return *log_;
}

void command_log::fatal(std::string_view text) {
    // A refusal to use a configuration directory comes as two lines.
    if (const auto line = text.find('\n'); line != std::string_view::npos) {
        error(text.substr(0, line));
        text.remove_prefix(line + 1);
    }
    log().fatal(text);
    if (std::getenv("MTAD_NO_FATAL_DELAY") == nullptr || who_calls() == caller::restricted)
        sleep(1);
    std::exit(fatal_status_);
}

std::string_view program_name(const char* argv0) noexcept {
    std::string_view name = argv0 == nullptr ? "" : argv0;
    return name.substr(name.rfind('/') == std::string_view::npos ? 0 : name.rfind('/') + 1);
}

result<logger> open_mail_log(const configuration& cfg, std::string_view name) {
    auto tag = cfg[param::syslog_name] + "/" + std::string(name);
    const auto& file = cfg[param::maillog_file];
    if (file.empty())
        return logger(open_syslog(detail::facility_number(cfg[param::syslog_facility])), std::move(tag));
    if (auto allowed = detail::check_log_place(cfg); !allowed)
        return tl::make_unexpected(allowed.error());
    auto sink = open_log_file(file);
    if (!sink)
        return tl::make_unexpected(sink.error());
    return logger(std::move(*sink), std::move(tag));
}

} // namespace mta::config
