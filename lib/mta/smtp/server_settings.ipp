#include <mta/config/configuration.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/smtp/server_settings.hpp>

namespace mta::smtp {

namespace {

struct keyword_name {
    std::string_view name;
    unsigned bit;
};
constexpr keyword_name keyword_names[] = {
    {"PIPELINING", ehlo_pipelining},
    {"SIZE", ehlo_size},
    {"VRFY", ehlo_vrfy},
    {"ETRN", ehlo_etrn},
    {"STARTTLS", ehlo_starttls},
    {"AUTH", ehlo_auth},
    {"ENHANCEDSTATUSCODES", ehlo_enhanced},
    {"8BITMIME", ehlo_8bitmime},
    {"DSN", ehlo_dsn},
    {"SMTPUTF8", ehlo_smtputf8},
    {"CHUNKING", ehlo_chunking},
    {"XCLIENT", ehlo_xclient},
    {"XFORWARD", ehlo_xforward},
    {"silent-discard", ehlo_silent},
};

result<bare_newline> parse_newline_policy(std::string_view text) {
    if (iequals(text, "no"))
        return bare_newline::accept;
    if (iequals(text, "yes") || iequals(text, "normalize"))
        return bare_newline::normalize;
    if (iequals(text, "note"))
        return bare_newline::note;
    if (iequals(text, "reject"))
        return bare_newline::reject;
    return fail(errc::malformed,
                "bad parameter value: 'smtpd_forbid_bare_newline = " + std::string(text) + "'");
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

// Integers and times by name, the first error kept.
class reader {
public:
    explicit reader(const config::configuration& cfg) : cfg_(cfg) {}
    void number(std::string_view name, long long& out) {
        auto value = cfg_.number(name);
        value ? void(out = *value) : note(std::move(value.error()));
    }
    void time(std::string_view name, std::chrono::milliseconds& out) {
        auto value = cfg_.time(name);
        value ? void(out = *value) : note(std::move(value.error()));
    }
    void yes_no(std::string_view name, bool& out) {
        auto value = cfg_.yes_no(name);
        value ? void(out = *value) : note(std::move(value.error()));
    }
    void note(error e) {
        if (!failed)
            failed = std::move(e);
    }
    std::optional<error> failed;

private:
    const config::configuration& cfg_;
};

result<void> read_commands(const config::configuration& cfg, server_settings& out) {
    out.forbid_non_letters = false;
    for (const auto& word : config::split_list(cfg.text("smtpd_forbidden_commands"))) {
        // The one table that the default names; others wait for tables in this place.
        if (word.starts_with("regexp:{{/^[^A-Z]/"))
            out.forbid_non_letters = true;
        else if (word.find(':') != std::string::npos || word.find('/') != std::string::npos)
            return fail(errc::unsupported, "smtpd_forbidden_commands: unsupported entry: " + word);
        else
            out.forbidden_commands.push_back(upper(word));
    }
    for (const auto& word : config::split_list(cfg.text("smtpd_noop_commands")))
        out.noop_commands.push_back(upper(word));
    return {};
}

} // namespace

result<unsigned> parse_ehlo_keywords(std::string_view text) {
    unsigned mask = 0;
    for (const auto word : split(text, ", \t\r\n")) {
        unsigned bit = 0;
        for (const auto& known : keyword_names)
            if (iequals(word, known.name))
                bit = known.bit;
        if (bit == 0)
            return fail(errc::malformed, "unknown EHLO keyword: " + std::string(word));
        mask |= bit;
    }
    return mask;
}

std::string ehlo_keyword_names(unsigned mask) {
    std::string out;
    for (const auto& known : keyword_names)
        if ((mask & known.bit) != 0 && known.bit != ehlo_silent)
            out.append(out.empty() ? "" : " ").append(known.name);
    return out;
}

result<server_settings> load_server_settings(const config::configuration& cfg) {
    server_settings out;
    out.hostname = cfg.text("myhostname");
    out.banner = cfg.text("smtpd_banner");
    reader read(cfg);
    read.yes_no("smtpd_helo_required", out.helo_required);
    read.yes_no("disable_vrfy_command", out.disable_vrfy);
    read.yes_no("strict_rfc821_envelopes", out.strict_envelopes);
    read.yes_no("allow_min_user", out.allow_minus_user);
    read.yes_no("smtputf8_enable", out.utf8_commands);
    read.yes_no("smtpd_forbid_unauth_pipelining", out.forbid_unauth_pipelining);
    long long line_limit = 2048;
    long long code = 550;
    read.number("line_length_limit", line_limit);
    read.number("smtpd_forbid_bare_newline_reject_code", code);
    read.number("message_size_limit", out.message_size_limit);
    read.number("smtpd_recipient_limit", out.recipient_limit);
    read.number("smtpd_recipient_overshoot_limit", out.recipient_overshoot);
    read.number("smtpd_soft_error_limit", out.soft_error_limit);
    read.number("smtpd_hard_error_limit", out.hard_error_limit);
    read.number("smtpd_junk_command_limit", out.junk_limit);
    read.time("smtpd_error_sleep_time", out.error_sleep);
    read.time("smtpd_timeout", out.timeout);
    if (line_limit < 512)
        return fail(errc::malformed,
                    "invalid line_length_limit parameter value " + std::to_string(line_limit) + " < 512");
    if (code < 400 || code > 599)
        return fail(errc::malformed,
                    "bad reject code: smtpd_forbid_bare_newline_reject_code = " + std::to_string(code));
    out.line_limit = static_cast<std::size_t>(line_limit);
    out.bare_newline_code = static_cast<int>(code);
    if (read.failed)
        return failure(std::move(*read.failed));
    // The reference's default is "no"; here only a word in main.cf opens that door, an
    // intended difference.
    auto policy = parse_newline_policy(
        cfg.is_set("smtpd_forbid_bare_newline") ? cfg.text("smtpd_forbid_bare_newline") : "normalize");
    if (!policy)
        return failure(std::move(policy.error()));
    out.newline_policy = *policy;
    auto discard = parse_ehlo_keywords(cfg.text("smtpd_discard_ehlo_keywords"));
    if (!discard)
        return fail(errc::malformed, "smtpd_discard_ehlo_keywords: " + discard.error().detail);
    out.discard_ehlo = *discard;
    if (auto commands = read_commands(cfg, out); !commands)
        return failure(std::move(commands.error()));
    return out;
}

} // namespace mta::smtp
