// The command line of sendmail, mailq and newaliases: what is asked, with which words.
//
// The parser prints getopt's own lines for bad options and ends the process through command_log for the rest, as the
// historic program does; every failure is exit status 75.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mta/config/command_log.hpp>

namespace mta::sendmail {

enum class mode {
    submit,
    list_queue,    // -bp, mailq
    build_aliases, // -bi, -I, newaliases
    daemon,        // -bd, smtpd as argv[0]
    smtp,          // -bs
    probe,         // -bv
    flush_queue,   // -q
    flush_site,    // -qRSITE
    flush_message, // -qIID
    nothing,       // -bh, -qTIME
};

struct options {
    sendmail::mode mode = sendmail::mode::submit;
    std::optional<std::string> configuration; // -C
    int verbose = 0;                          // each -v
    std::optional<std::string> sender;        // -f, -r
    std::optional<std::string> full_name;     // -F
    std::string encoding;                     // "7bit", "8bit" or empty
    std::string envelope_id;                  // -V
    std::string verp;                         // two characters, or empty
    bool verp_default = false;                // VERP with default_verp_delimiters
    bool verp_asked = false;
    std::string target; // of -qR and -qI
    std::string alias_map; // -oA
    int dsn_notify = 0;
    int dsn_ret = 0;
    bool extract_recipients = false; // -t
    bool ignore_dots = false;        // -i
    bool remote_context = false;     // -G
    bool interval_queue_run = false; // -qTIME
    std::vector<std::string> recipients;
};

// The first pass: -C and -v only, so that configuration and log are there before anything else is judged. It complains
// about bad options too, as the historic program does.
void scan_early(std::span<const char* const> words, std::string program, options& into);

// All of it. words are what follows argv[0]; program is its base name.
[[nodiscard]] options parse(std::span<const char* const> words, config::command_log& log);

} // namespace mta::sendmail
