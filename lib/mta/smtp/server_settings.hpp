// What an SMTP server session needs of main.cf, as plain values.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/smtp/data_decoder.hpp>

namespace mta::config {
class configuration;
}

namespace mta::smtp {

// Keywords of smtpd_discard_ehlo_keywords.
enum ehlo_keyword : unsigned {
    ehlo_pipelining = 1,
    ehlo_size = 2,
    ehlo_vrfy = 4,
    ehlo_etrn = 8,
    ehlo_starttls = 16,
    ehlo_auth = 32,
    ehlo_enhanced = 64,
    ehlo_8bitmime = 128,
    ehlo_dsn = 256,
    ehlo_smtputf8 = 512,
    ehlo_chunking = 1024,
    ehlo_xclient = 2048,
    ehlo_xforward = 4096,
    ehlo_silent = 8192, // silent-discard: do not log
};

// Unknown words are errc::malformed and name the word.
[[nodiscard]] result<unsigned> parse_ehlo_keywords(std::string_view text);
// "CHUNKING DSN" for the log.
[[nodiscard]] std::string ehlo_keyword_names(unsigned mask);

struct server_settings {
    std::string hostname = "localhost";          // myhostname
    std::string banner = "localhost ESMTP";      // smtpd_banner
    bool helo_required = false;                  // smtpd_helo_required
    bool disable_vrfy = false;                   // disable_vrfy_command
    bool strict_envelopes = false;               // strict_rfc821_envelopes
    bool allow_minus_user = false;               // allow_min_user
    std::vector<std::string> forbidden_commands; // smtpd_forbidden_commands, upper case
    bool forbid_non_letters = true;              // its regexp:{{/^[^A-Z]/ …}}
    std::vector<std::string> noop_commands;      // smtpd_noop_commands, upper case
    unsigned discard_ehlo = 0;                   // ehlo_keyword
    bare_newline newline_policy = bare_newline::normalize;
    int bare_newline_code = 550; // smtpd_forbid_bare_newline_reject_code
    bool forbid_unauth_pipelining = false;
    std::size_t line_limit = 2048;           // line_length_limit
    bool utf8_commands = true;               // smtputf8_enable: commands that are no UTF-8 are refused
    long long message_size_limit = 10240000; // 0: none
    long long recipient_limit = 1000;        // 0: none
    long long recipient_overshoot = 1000;
    long long soft_error_limit = 10;
    long long hard_error_limit = 20;
    long long junk_limit = 100;
    std::chrono::milliseconds error_sleep{1000};
    std::chrono::milliseconds timeout{300000};
};

// Reads the settings of one endpoint (its -o overrides applied). A value that this server does not understand
// is an error that names the parameter, to be treated as fatal at start.
[[nodiscard]] result<server_settings> load_server_settings(const config::configuration& cfg);

} // namespace mta::smtp
