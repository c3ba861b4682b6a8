// The message on standard input, cut into lines: what sendmail sees of it.
//
// A line longer than the limit comes in pieces, so that any input passes through in constant memory. Line ends are LF;
// CR before LF goes as sendmail_fix_line_endings says. Not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::sendmail {

enum class line_endings { always, strict, never }; // which CR before LF are removed; strict: when the first line has one

class message_input {
public:
    message_input(int fd, std::size_t limit, line_endings endings) : fd_(fd), limit_(limit), endings_(endings) {}

    // The next line, or a piece of limit bytes of one (unterminated; a line of exactly limit bytes is one, and then an
    // empty one). False at the end. The view lasts until the next
    // call. A last line without a line end is unterminated.
    [[nodiscard]] result<bool> next(std::string_view& line, bool& unterminated);

private:
    [[nodiscard]] result<bool> fill();

    int fd_;
    std::size_t limit_;
    line_endings endings_;
    std::string buffer_;
    std::size_t at_ = 0;
    bool ended_ = false;
    bool first_ = true;
};

} // namespace mta::sendmail
