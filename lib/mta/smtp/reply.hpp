// SMTP replies (RFC 5321 4.2): composing them for a client, and reading those of a server.
//
// The reader is fed bytes, is bounded in line length, kept text and total size, and accepts lone LF
// line ends as well as CRLF. No I/O. Safe on hostile input (fuzz_smtp_client).
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/smtp/status.hpp>

namespace mta::smtp {

// One whole reply of a server.
struct reply {
    int code = 0; // 100..599
    std::vector<std::string>
        lines; // text after "250-" or "250 ", without line end; never empty in a read reply
    bool line_cut = false;      // a line reached the limit
    bool lines_dropped = false; // lines over the limit are missing at the end
    std::optional<status_code> dropped_status; // what the last line began with, when it is missing

    [[nodiscard]] int category() const noexcept { return code / 100; }
    [[nodiscard]] bool success() const noexcept { return category() == 2; }
    [[nodiscard]] bool temporary() const noexcept { return category() == 4; }
    [[nodiscard]] bool permanent() const noexcept { return category() == 5; }

    // The enhanced code of the last line, if it has one of the same class as the reply code.
    [[nodiscard]] std::optional<status_code> enhanced() const noexcept {
        if (lines.empty())
            return std::nullopt;
        auto found = lines_dropped ? dropped_status : parse_status_code(lines.back());
        if (found && found->category != category())
            return std::nullopt;
        return found;
    }

    // "250 2.1.5 Ok", lines joined by a blank: the form that logs and bounces show. Only the first line
    // carries the code.
    [[nodiscard]] std::string text() const {
        std::string out = std::to_string(code);
        for (const auto& line : lines)
            out.append(1, ' ').append(line);
        return out;
    }
};

struct reply_limits {
    std::size_t line_length = 2048; // longer lines are cut there, the rest of the line is dropped
    // Once so much is kept, line ends counted, further lines are read and dropped; the last one's status still
    // decides. Both limits are the reference's (tests/interop/smtp_client.py): every recipient's answer holds
    // the text twice.
    std::size_t kept = 2048;
    std::size_t total = 1u << 20; // bytes of one reply after which it is an error
};

// Collects one reply after another from a stream of bytes.
class reply_reader {
public:
    explicit reply_reader(reply_limits limits = {}) : limits_(limits) {}

    // Takes bytes from the front of input, up to the end of the next reply, and removes them from it.
    //
    // Returns the reply, nullopt when input is used up first, or an error: malformed when a line is no
    // reply line or the code changes within a reply (offending() tells the line), too_large past the total.
    // After an error the reader stays in error.
    [[nodiscard]] result<std::optional<reply>> feed(std::string_view& input);

    // Whether part of a reply has been read.
    [[nodiscard]] bool partial() const noexcept { return !line_.empty() || total_ != 0; }

    // The line that was no reply line, cut at the line limit; for the log.
    [[nodiscard]] const std::string& offending() const noexcept { return line_; }

private:
    result<bool> end_of_line();

    reply_limits limits_;
    reply reply_;
    std::string line_;
    std::size_t total_ = 0;
    std::size_t kept_ = 0;
    bool failed_ = false;
};

// "250 text\r\n", or "250-a\r\n250 b\r\n" where text has line feeds. Control bytes of text become '?'.
[[nodiscard]] inline std::string compose_reply(int code, std::string_view text) {
    const std::string number = std::to_string(code);
    std::string out;
    out.reserve(text.size() + 8);
    for (;;) {
        const auto end = text.find('\n');
        out += number;
        out += end == std::string_view::npos ? ' ' : '-';
        for (const char c : text.substr(0, end))
            out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        out += "\r\n";
        if (end == std::string_view::npos)
            return out;
        text.remove_prefix(end + 1);
    }
}

inline result<std::optional<reply>> reply_reader::feed(std::string_view& input) {
    while (!input.empty()) {
        if (failed_)
            return fail(errc::malformed, "not an SMTP reply");
        const auto end = input.find('\n');
        const auto piece = input.substr(0, end);
        const auto used = end == std::string_view::npos ? input.size() : end + 1;
        line_.append(piece.substr(0, limits_.line_length - line_.size()));
        reply_.line_cut |= line_.size() == limits_.line_length;
        total_ += used;
        input.remove_prefix(used);
        if (total_ > limits_.total) {
            failed_ = true;
            return fail(errc::too_large, "reply is too long");
        }
        if (end == std::string_view::npos)
            return std::optional<reply>();
        auto last = end_of_line();
        if (!last) {
            failed_ = true;
            return tl::make_unexpected(std::move(last.error()));
        }
        if (*last) {
            std::optional<reply> whole(std::move(reply_));
            reply_ = reply();
            total_ = kept_ = 0;
            return whole;
        }
    }
    return std::optional<reply>();
}

// Whether the line just completed was the reply's last.
inline result<bool> reply_reader::end_of_line() {
    while (!line_.empty() && line_.back() == '\r')
        line_.pop_back();
    const auto digit = [&](std::size_t at) { return line_[at] >= '0' && line_[at] <= '9'; };
    if (line_.size() < 3 || line_[0] < '1' || line_[0] > '5' || !digit(1) || !digit(2) ||
        (line_.size() > 3 && line_[3] != ' ' && line_[3] != '-'))
        return fail(errc::malformed, "not an SMTP reply");
    const int code = (line_[0] - '0') * 100 + (line_[1] - '0') * 10 + (line_[2] - '0');
    const bool last = line_.size() == 3 || line_[3] == ' ';
    if (reply_.code != 0 && reply_.code != code)
        return fail(errc::malformed, "reply code changes within a reply");
    reply_.code = code;
    const auto text = std::string_view(line_).substr(std::min<std::size_t>(4, line_.size()));
    if (kept_ < limits_.kept) {
        reply_.lines.emplace_back(text);
        kept_ += line_.size() + 1;
    } else {
        reply_.lines_dropped = true;
        reply_.dropped_status = parse_status_code(text);
    }
    line_.clear();
    return last;
}

} // namespace mta::smtp
