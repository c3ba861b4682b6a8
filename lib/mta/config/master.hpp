// The syntax of master.cf: one service a logical line, eight columns and -o overrides.
//
//     smtp  inet  n  -  y  -  -  smtpd -o name=value -o { name = value with blanks }
//
// No I/O except load_master(). What the programs are and whether they exist is not decided here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

enum class service_type { inet, local, fifo, pass, local_datagram };

// "inet", "unix", "fifo", "pass", "unix-dgram".
[[nodiscard]] std::string_view to_string(service_type type) noexcept;

struct service_line {
    std::string name; // "smtp", "127.0.0.1:10025", "cleanup"
    service_type type = service_type::inet;
    bool priv = true;            // column 3; "-" is yes
    bool unpriv = true;          // column 4; "-" is yes
    bool chroot_by_default = false;
    bool chroot = false;         // column 5; "-" is $compatibility_level dependent: no from 1 on, else yes
    int wakeup = 0;              // column 6, seconds; 0 never
    bool wakeup_if_used = false; // "60?": only after the first use
    int maxproc = -1;            // column 7; -1 is "-" (default_process_limit), 0 no limit
    std::string program;         // column 8, "smtpd"
    std::vector<std::string> args; // all words after the program, {…} words without their outer braces
    overrides settings;            // the -o name=value among args, in order
    int line = 0;                  // of the file
    std::vector<std::string> fields; // the eight columns as written, for postconf -M and -F
};

// Errors carry the whole text: `file PATH: line N: bad field count`, `line N: invalid type field "foo" in "…"` …
[[nodiscard]] result<std::vector<service_line>> parse_master(std::string_view text, std::string_view path,
                                                             const configuration& cfg);

// master.cf of the configuration and the *.cf files of mtad_master_cf_directory behind it.
[[nodiscard]] result<std::vector<std::string>> master_files(const configuration& cfg);

// The lines of these files.
[[nodiscard]] result<std::vector<service_line>> load_master(const configuration& cfg);

} // namespace mta::config
