// Lines from a descriptor, in big steps and bounded memory (one line is held whole).
#pragma once

#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <mta/core/result.hpp>

namespace mta::table {

class line_input {
public:
    // before_wait is called before every read.
    line_input(int fd, std::function<result<void>()> before_wait) : fd_(fd), before_wait_(std::move(before_wait)) {}

    // take(line) for each line without its newline, the last one even if it has none, until it answers an error.
    template <class Take>
    [[nodiscard]] result<void> each_line(Take&& take) {
        std::array<char, 65536> chunk; // NOLINT: read fills it
        std::string kept;              // the line that the last chunk began
        for (;;) {
            if (auto ready = before_wait_(); !ready)
                return ready;
            const auto got = ::read(fd_, chunk.data(), chunk.size());
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return fail_errno("read input");
            if (got == 0)
                return kept.empty() ? result<void>() : take(std::string_view(kept));
            std::string_view rest(chunk.data(), static_cast<std::size_t>(got));
            for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
                std::string_view line = rest.substr(0, end);
                if (!kept.empty())
                    line = kept.append(line);
                if (auto done = take(line); !done)
                    return done;
                kept.clear();
                rest.remove_prefix(end + 1);
            }
            kept.append(rest);
        }
    }

private:
    int fd_;
    std::function<result<void>()> before_wait_;
};

// A source in parts: whole logical lines (text_source.hpp), as many as fit a size, at least one.
class source_parts {
public:
    struct part {
        std::string text;
        int first_line = 1;
        bool last = false;
    };
    // title is for messages.
    source_parts(int fd, std::string title, std::size_t size) : fd_(fd), title_(std::move(title)), size_(size) {}

    // A line that is longer than 1 GiB is errc::too_large.
    [[nodiscard]] result<part> next();

private:
    [[nodiscard]] result<void> fill(std::string& text, std::size_t size);

    int fd_;
    std::string title_;
    std::size_t size_;
    std::string rest_; // behind the last part
    int line_ = 1;
    bool ended_ = false;
};

// All that is left to read of a descriptor. title is for the message.
[[nodiscard]] result<std::string> read_descriptor(int fd, const std::string& title);

} // namespace mta::table
