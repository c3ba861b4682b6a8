// The texts of notices, as bounce_template_file gives them: one template each for failure, delay, success and verify.
//
//     failure_template = <<EOF
//     Charset: us-ascii
//     From: Mail Delivery System <MAILER-DAEMON>
//     Subject: Undelivered Mail Returned to Sender
//     Postmaster-Subject: Postmaster Copy: Undelivered Mail
//
//     The mail system at $myhostname …
//     EOF
//
// The header lines are those four; the text may use $name of main.cf, and $delay_warning_time_UNIT and
// $maximal_queue_lifetime_UNIT with seconds, minutes, hours, days or weeks for UNIT. A template that is wrong is left out with a warning, and the built-in one stands.
//
// No I/O. Composing notices of them is notice.hpp's.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::notify {

struct bounce_template {
    std::string name; // "failure", "delay", "success", "verify"
    std::string charset;
    std::string from;
    std::string subject;
    std::string postmaster_subject; // empty: none
    std::vector<std::string> text;  // lines, without line ends
};

using bounce_templates = std::array<bounce_template, 4>;

// What is built in, in our words.
[[nodiscard]] const bounce_templates& standard_templates();

// The templates of a file over the built-in ones. warnings gets a line for each thing that was wrong with one. The
// error is about the file's syntax: `PATH, line 2: missing '=' after attribute name: "…"`.
[[nodiscard]] result<bounce_templates> parse_templates(std::string_view text, std::string_view path,
                                                       std::vector<std::string>& warnings);

// As it stands in a file, up to the end marker's line.
[[nodiscard]] std::string format_template(const bounce_template& from);

// The lines of the text with their $names replaced. The error names what could not be.
[[nodiscard]] result<std::vector<std::string>> expand_text(const bounce_template& from, const config::configuration& cfg);

} // namespace mta::notify
