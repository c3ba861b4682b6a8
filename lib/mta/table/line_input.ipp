#include <sys/stat.h>

#include <algorithm>

#include <mta/table/line_input.hpp>

namespace mta::table {
namespace {

constexpr std::size_t longest_line = 1U << 30U;

// Where the last logical line begins that nothing in text says to be continued or to go on; 0 if there is none. What stands
// before from is known to hold none.
std::size_t last_beginning(std::string_view text, std::size_t from) noexcept {
    for (auto at = text.size(); at > from + 1;) {
        const auto newline = text.rfind('\n', at - 2);
        if (newline == std::string_view::npos || newline < from)
            return 0;
        at = newline + 1;
        const char next = text[at];
        if (next != '#' && next != ' ' && (next < '\t' || next > '\r'))
            return at;
    }
    return 0;
}

} // namespace

result<void> source_parts::fill(std::string& text, std::size_t size) {
    auto used = text.size();
    text.reserve(size);
    while (!ended_ && used < size) {
        if (used == text.size()) // a small source needs no large memory
            text.resize(std::min(size, used * 2 + (1U << 16U)));
        const auto got = ::read(fd_, text.data() + used, text.size() - used);
        if (got < 0 && errno != EINTR)
            return fail_errno("read " + title_);
        ended_ = got == 0;
        used += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    }
    text.resize(used);
    return {};
}

result<source_parts::part> source_parts::next() {
    part out{std::exchange(rest_, {}), line_, false};
    std::size_t end = 0;
    for (std::size_t size = size_, known = 0; end == 0; size *= 2) {
        if (size > longest_line)
            return fail(errc::too_large, title_ + ", line " + std::to_string(line_) + ": line too long");
        if (auto done = fill(out.text, std::max(size, out.text.size() + 1)); !done)
            return tl::make_unexpected(done.error());
        if (ended_) {
            out.last = true;
            return out;
        }
        end = last_beginning(out.text, known);
        known = out.text.size() - 1;
    }
    rest_.assign(out.text, end);
    out.text.resize(end);
    line_ += static_cast<int>(std::ranges::count(out.text, '\n'));
    return out;
}

result<std::string> read_descriptor(int fd, const std::string& title) {
    std::string out;
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        out.reserve(static_cast<std::size_t>(status.st_size) + 1);
    for (;;) {
        const auto used = out.size();
        out.resize(std::max(out.capacity(), used + 65536));
        const auto got = ::read(fd, out.data() + used, out.size() - used);
        out.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got < 0 && errno != EINTR)
            return fail_errno("read " + title);
        if (got == 0)
            return out;
    }
}

} // namespace mta::table
