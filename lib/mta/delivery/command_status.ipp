#include <sys/wait.h>

#include <algorithm>

#include <mta/core/sysexits.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/command.hpp>

namespace mta::delivery {
namespace {

struct exit_row {
    int code;
    const char* dsn;
    const char* text;
};
// EX_OSERR and EX_TEMPFAIL are for now, all others for good.
constexpr exit_row exit_rows[] = {
    {ex_usage, "5.3.0", "command line usage error"},
    {ex_dataerr, "5.6.0", "data format error"},
    {ex_noinput, "5.3.0", "cannot open input"},
    {ex_nouser, "5.1.1", "user unknown"},
    {ex_nohost, "5.1.2", "host name unknown"},
    {ex_unavailable, "5.3.0", "service unavailable"},
    {ex_software, "5.3.0", "internal software error"},
    {ex_oserr, "4.3.0", "system resource problem"},
    {ex_osfile, "5.3.0", "critical OS file missing"},
    {ex_cantcreat, "5.2.0", "can't create user output file"},
    {ex_ioerr, "5.3.0", "input/output error"},
    {ex_tempfail, "4.3.0", "temporary failure"},
    {ex_protocol, "5.5.0", "remote error in protocol"},
    {ex_noperm, "5.7.0", "permission denied"},
    {ex_config, "5.3.5", "local configuration error"},
};

std::size_t digits(std::string_view text, std::size_t from) {
    std::size_t count = 0;
    while (from + count < text.size() && text[from + count] >= '0' && text[from + count] <= '9')
        ++count;
    return count;
}

// The length of an enhanced status code (RFC 3463) that text begins with; 0: it does not.
std::size_t enhanced_code(std::string_view text) {
    if (text.empty() || (text.front() != '2' && text.front() != '4' && text.front() != '5'))
        return 0;
    std::size_t at = 1;
    for (int part = 0; part < 2; ++part) {
        const auto length = at < text.size() && text[at] == '.' ? digits(text, at + 1) : 0;
        if (length == 0 || length > 3)
            return 0;
        at += 1 + length;
    }
    return at == text.size() || text[at] == ' ' ? at : 0;
}

// What of the output people are shown: up to a NUL, line ends as blanks.
std::string shown(std::string_view output) {
    std::string out;
    for (const char c : output.substr(0, output.find('\0'))) {
        const auto byte = static_cast<unsigned char>(c);
        out += c == '\n' || c == '\t' ? ' ' : byte < 0x20 || byte == 0x7f ? '_' : c;
    }
    return out;
}

status of_kind(std::string dsn, std::string reason) {
    return dsn.starts_with('4') ? defer(std::move(dsn), std::move(reason)) : bounce(std::move(dsn), std::move(reason));
}

} // namespace

status command_status(const command_job& job, const command_end& how) {
    const auto said = shown(how.output);
    const auto about = [&](const std::string& what) {
        return what + ": \"" + job.line + "\"" + (said.empty() ? "" : ". Command output: " + said);
    };
    const auto detailed = [&](status out, std::string_view plain) {
        out.diag_type = "x-unix";
        out.diag_text = said.empty() ? std::string(plain) : said;
        return out;
    };
    if (how.timed_out)
        return detailed(bounce("5.3.0", about("Command time limit exceeded")), "internal software error");
    if (WIFSIGNALED(how.wait_status))
        return defer("4.3.0", about("Command died with signal " + std::to_string(WTERMSIG(how.wait_status))));
    const int code = WEXITSTATUS(how.wait_status);
    if (code == ex_ok)
        return sent("delivered to command: " + job.line);
    if (const auto length = enhanced_code(said); length > 0) {
        // A command that failed and says 2.x.x has failed all the same.
        const auto dsn = said.front() == '2' ? std::string("5.0.0") : said.substr(0, length);
        auto text = said.substr(std::min(said.find_first_not_of(' ', length), said.size()));
        auto out = of_kind(dsn, text);
        if (!text.empty()) {
            out.diag_type = "x-unix";
            out.diag_text = std::move(text);
        }
        return out;
    }
    for (const auto& row : exit_rows)
        if (row.code == code)
            return detailed(of_kind(row.dsn, said.empty() ? row.text : row.text + (". Command output: " + said)), row.text);
    return detailed(bounce("5.3.0", about("Command died with status " + std::to_string(code))),
                    "unknown mail system error " + std::to_string(code));
}

bool needs_no_shell(std::string_view line) {
    constexpr std::string_view plain =
        "1234567890!@%-_=+:,./\nabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t";
    return line.find_first_not_of(plain) == std::string_view::npos &&
           line.find_first_not_of(" \t\n") != std::string_view::npos;
}

} // namespace mta::delivery
