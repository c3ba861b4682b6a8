#include <algorithm>
#include <cstring>

#include <mta/smtp/data_decoder.hpp>

namespace mta::smtp {

data_decoder::kind data_decoder::feed(std::string_view& input) {
    return advance(input, true);
}

data_decoder::kind data_decoder::feed_chunk(std::string_view& input) {
    return advance(input, false);
}

bool data_decoder::finish_chunks() {
    if (drop_held_) {
        held_.assign(keep_cr_ ? "\r" : "");
        drop_held_ = keep_cr_ = false;
    }
    if (held_.empty() && !continued_)
        return false;
    text_ = held_;
    drop_held_ = true;
    unterminated_ = continued_ = false;
    return true;
}

// A piece of a line that goes on.
data_decoder::kind data_decoder::piece(std::string_view raw, bool dots) {
    if (dots && !continued_ && raw.front() == '.')
        raw.remove_prefix(1);
    text_ = raw;
    unterminated_ = continued_ = true;
    return kind::line;
}

// A line up to its line end; raw is without LF and the CR before it. False when the line vanishes.
bool data_decoder::complete(std::string_view raw, bool bare, bool dots, kind& what) {
    const bool after_bare = last_bare_;
    const bool starts_line = !continued_;
    saw_bare_ |= bare;
    last_bare_ = bare;
    unterminated_ = continued_ = false;
    what = kind::line;
    if (dots && starts_line && !raw.empty() && raw.front() == '.') {
        raw.remove_prefix(1);
        if (raw.empty()) {
            if (policy_ != bare_newline::accept && (bare || after_bare))
                return false;
            what = kind::end;
            last_bare_ = false;
        }
    }
    text_ = raw;
    return true;
}

data_decoder::kind data_decoder::advance(std::string_view& input, bool dots) {
    for (;;) {
        if (drop_held_) {
            held_.assign(keep_cr_ ? "\r" : "");
            drop_held_ = keep_cr_ = false;
        }
        if (input.empty())
            return kind::more;
        const auto* lf = static_cast<const char*>(std::memchr(input.data(), '\n', input.size()));
        const std::size_t before = lf != nullptr ? static_cast<std::size_t>(lf - input.data()) : input.size();
        // A line may be as long as the limit, with its CR beyond it.
        if (held_.size() + before > limit_ + (lf != nullptr ? 1 : 0) ||
            (lf != nullptr && held_.size() + before > limit_ &&
             (before == 0 ? held_.back() : lf[-1]) != '\r')) {
            std::string_view raw = input.substr(0, limit_ - std::min(limit_, held_.size()));
            if (!held_.empty()) {
                input.remove_prefix(raw.size());
                held_.append(raw);
                raw = held_;
                drop_held_ = true;
                keep_cr_ = raw.back() == '\r' && raw.size() > 1;
                if (keep_cr_)
                    raw.remove_suffix(1);
            } else {
                // A CR at the cut may belong to the line end: it starts the next piece.
                if (raw.back() == '\r' && raw.size() > 1)
                    raw.remove_suffix(1);
                input.remove_prefix(raw.size());
            }
            return piece(raw, dots);
        }
        if (lf == nullptr) {
            held_.append(input);
            input = {};
            return kind::more;
        }
        std::string_view raw = input.substr(0, before);
        input.remove_prefix(before + 1);
        if (!held_.empty()) {
            held_.append(raw);
            raw = held_;
            drop_held_ = true;
        }
        const bool bare = raw.empty() || raw.back() != '\r';
        if (!bare)
            raw.remove_suffix(1);
        kind what{};
        if (complete(raw, bare, dots, what))
            return what;
    }
}

} // namespace mta::smtp
