#include "options.hpp"

#include <string_view>

#include <mta/core/argv.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/envelope.hpp>

namespace mta::sendmail {

namespace {

constexpr std::string_view specification = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q::tvx";

class parser {
public:
    parser(std::span<const char* const> words, config::command_log& log)
        : words_(words), log_(log), reader_(words, specification, log.program()) {
        if (log.program() == "mailq")
            into_.mode = mode::list_queue;
        else if (log.program() == "newaliases")
            into_.mode = mode::build_aliases;
        else if (log.program() == "smtpd")
            into_.mode = mode::daemon;
    }

    options run() {
        while (!stopped_) {
            const auto option = reader_.next();
            if (!option)
                break;
            take(option->letter, option->value);
        }
        if (!stopped_)
            for (const char* word : reader_.operands())
                into_.recipients.emplace_back(word);
        return std::move(into_);
    }

private:
    void take(char letter, std::string_view value);
    void take_mode(std::string_view value);
    void take_queue(std::string_view value);
    void take_envelope_id(std::string_view value);
    void take_notify(std::string_view value);
    void take_verp(std::string_view value);

    std::span<const char* const> words_;
    config::command_log& log_;
    option_reader reader_;
    options into_;
    bool stopped_ = false;
};

void parser::take(char letter, std::string_view value) {
    switch (letter) {
    case '?':
        log_.fatal("usage: " + log_.program() + " [options]");
    case '-':
        log_.fatal("unsupported: --" + std::string(value));
    case 'n':
        log_.fatal("-n option not supported");
    case 'B':
        if (value != "8BITMIME" && value != "7BIT")
            log_.fatal("-B option needs 8BITMIME or 7BIT");
        into_.encoding = value == "7BIT" ? "7bit" : "8bit";
        break;
    case 'F':
        into_.full_name = value;
        break;
    case 'G':
        into_.remote_context = true;
        break;
    case 'I':
        into_.mode = mode::build_aliases;
        break;
    case 'N':
        take_notify(value);
        break;
    case 'R':
        if (iequals(value, "full"))
            into_.dsn_ret = queue::ret_full;
        else if (iequals(value, "hdrs"))
            into_.dsn_ret = queue::ret_headers;
        else
            log_.warning("bad -R option value -- ignored");
        break;
    case 'V':
        take_envelope_id(value);
        break;
    case 'X':
        if (value.empty() || value.front() != 'V')
            log_.fatal("unsupported: -X" + std::string(value.substr(0, 1)));
        take_verp(value.substr(1));
        break;
    case 'b':
        take_mode(value);
        break;
    case 'f':
    case 'r':
        into_.sender = value;
        break;
    case 'i':
        into_.ignore_dots = true;
        break;
    case 'o':
        if (value == "i")
            into_.ignore_dots = true;
        else if (value == "A")
            log_.fatal("-oA requires pathname");
        else if (value.starts_with('A'))
            into_.alias_map = value.substr(1);
        break;
    case 'q':
        take_queue(value);
        break;
    case 't':
        into_.extract_recipients = true;
        break;
    case 'v':
        ++into_.verbose;
        break;
    default: // accepted for the sake of old callers
        break;
    }
}

void parser::take_mode(std::string_view value) {
    switch (value.empty() ? '\0' : value.front()) {
    case 'm':
        into_.mode = mode::submit;
        return;
    case 'p':
        into_.mode = mode::list_queue;
        return;
    case 'i':
        into_.mode = mode::build_aliases;
        return;
    case 'd':
    case 'l':
        into_.mode = mode::daemon;
        return;
    case 's':
        into_.mode = mode::smtp;
        return;
    case 'v':
        into_.mode = mode::probe;
        return;
    case 'h':
    case 'H':
        into_.mode = mode::nothing;
        return;
    default:
        log_.fatal("unsupported: -b" + std::string(value));
    }
}

void parser::take_queue(std::string_view value) {
    if (value.empty()) {
        into_.mode = mode::flush_queue;
    } else if (value.front() >= '0' && value.front() <= '9') {
        if (into_.mode != mode::daemon)
            into_.interval_queue_run = true;
    } else if (value.front() == 'R' || value.front() == 'I') {
        into_.mode = value.front() == 'R' ? mode::flush_site : mode::flush_message;
        into_.target = value.substr(1);
        if (into_.target.empty())
            log_.fatal(into_.mode == mode::flush_site ? "specify: -qRsitename" : "specify: -qIqueueid");
    } else {
        log_.fatal("-q" + std::string(1, value.front()) + " is not implemented");
    }
}

// The old VERP option and the DSN envelope ID share a letter: two characters are VERP delimiters. As a word of its own
// such a value was never the option's: it is the first operand.
void parser::take_envelope_id(std::string_view value) {
    if (value.size() == 2) {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if (words_[i] != value.data())
                continue;
            log_.warning("option -V is deprecated with Postfix 2.3; specify -XV instead");
            take_verp({});
            for (; i < words_.size(); ++i)
                into_.recipients.emplace_back(words_[i]);
            stopped_ = true;
            return;
        }
        const std::string text(value);
        log_.warning("option -V" + text + " is deprecated with Postfix 2.3; specify -XV" + text + " instead");
        take_verp(value);
        return;
    }
    bool good = !value.empty() && value.size() <= 100;
    for (const char c : value)
        good = good && c >= 0x20 && c < 0x7F;
    if (good)
        into_.envelope_id = value;
    else
        log_.warning(value.size() > 100 ? "too long -V option value -- ignored" : "bad syntax in -V option value -- ignored");
}

void parser::take_verp(std::string_view value) {
    into_.verp_asked = true;
    into_.verp_default = value.empty();
    into_.verp = value;
}

void parser::take_notify(std::string_view value) {
    int flags = 0;
    bool good = true;
    for (const auto word : split(value, ",")) {
        if (iequals(word, "success"))
            flags |= queue::notify_success;
        else if (iequals(word, "failure"))
            flags |= queue::notify_failure;
        else if (iequals(word, "delay"))
            flags |= queue::notify_delay;
        else if (iequals(word, "never"))
            flags |= queue::notify_never;
        else {
            log_.warning("unknown DSN NOTIFY command value \"" + std::string(word) + "\" in \"" + std::string(value) + '"');
            good = false;
            break;
        }
    }
    good = good && ((flags & queue::notify_never) == 0 || flags == queue::notify_never);
    if (good && flags != 0)
        into_.dsn_notify = flags;
    else
        log_.warning("bad -N option value -- ignored");
}

} // namespace

void scan_early(std::span<const char* const> words, std::string program, options& into) {
    option_reader reader(words, specification, std::move(program));
    while (const auto option = reader.next()) {
        if (option->letter == 'C')
            into.configuration = option->value;
        else if (option->letter == 'v')
            ++into.verbose;
    }
}

options parse(std::span<const char* const> words, config::command_log& log) {
    return parser(words, log).run();
}

} // namespace mta::sendmail
