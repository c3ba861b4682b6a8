#include "input.hpp"

#include <unistd.h>

#include <cerrno>

namespace mta::sendmail {

result<bool> message_input::fill() {
    constexpr std::size_t chunk = 64U << 10U;
    buffer_.erase(0, at_);
    at_ = 0;
    const auto have = buffer_.size();
    buffer_.resize(have + chunk);
    ssize_t got = 0;
    do
        got = ::read(fd_, buffer_.data() + have, chunk);
    while (got < 0 && errno == EINTR);
    buffer_.resize(have + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0)
        return fail_errno("read standard input");
    ended_ = got == 0;
    return !ended_;
}

result<bool> message_input::next(std::string_view& line, bool& unterminated) {
    auto end = buffer_.find('\n', at_);
    while (end == std::string::npos && buffer_.size() - at_ < limit_ && !ended_) {
        auto more = fill();
        if (!more)
            return tl::make_unexpected(more.error());
        end = buffer_.find('\n', at_);
    }
    const auto rest = std::string_view(buffer_).substr(at_);
    if (rest.empty())
        return false;
    const auto length = end == std::string::npos ? rest.size() : end - at_;
    unterminated = end == std::string::npos || length >= limit_;
    line = rest.substr(0, length > limit_ ? limit_ : length);
    at_ += line.size() + (unterminated ? 0 : 1);
    if (unterminated)
        return true;
    const bool fixable = line.ends_with('\r');
    if (first_ && endings_ == line_endings::strict)
        endings_ = fixable ? line_endings::always : line_endings::never;
    first_ = false;
    if (endings_ == line_endings::always)
        while (line.ends_with('\r'))
            line.remove_suffix(1);
    return true;
}

} // namespace mta::sendmail
