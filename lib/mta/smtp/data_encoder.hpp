// The text of a message as it travels after DATA (RFC 5321 4.5.2): CRLF line ends, leading dots doubled, over-long
// lines folded, and the end-of-data mark.
//
// Lines come in pieces of any size; the result does not depend on where they were cut. A line feed cannot occur in
// a piece (the queue file splits on it) and one that does is sent as a line end, never bare. No I/O.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace mta::smtp {

class data_encoder {
public:
    // line_limit is smtp_line_length_limit: bytes of one line without its CRLF; 0 is no limit.
    explicit data_encoder(std::size_t line_limit = 998) noexcept : limit_(line_limit), left_(line_limit) {}

    // Appends one piece of a line; unterminated when the line goes on in the next piece.
    void line(std::string& out, std::string_view piece, bool unterminated) {
        if (!inside_ && !unterminated && (limit_ == 0 || piece.size() <= limit_) && !has_line_feed(piece)) {
            if (piece.starts_with('.'))
                out += '.';
            out.append(piece).append("\r\n");
            return;
        }
        slow_line(out, piece, unterminated);
    }

    // Ends a line left open and appends the end-of-data mark.
    void finish(std::string& out) {
        if (inside_)
            end_line(out);
        out += ".\r\n";
    }

private:
    static bool has_line_feed(std::string_view piece) noexcept { return piece.find('\n') != std::string_view::npos; }

    void end_line(std::string& out) {
        out += "\r\n";
        inside_ = false;
        left_ = limit_;
        fold_ = false;
    }

    void slow_line(std::string& out, std::string_view piece, bool unterminated) {
        for (auto end = piece.find('\n'); end != std::string_view::npos; end = piece.find('\n')) {
            slow_line(out, piece.substr(0, end), false);
            piece.remove_prefix(end + 1);
        }
        while (!piece.empty()) {
            if (fold_) {
                // The fold is written only now that something follows it.
                out += "\r\n ";
                left_ = limit_ - 1;
                fold_ = false;
            }
            if (!inside_ && piece.front() == '.')
                out += '.';
            inside_ = true;
            const auto take = limit_ == 0 ? piece.size() : std::min(left_, piece.size());
            out.append(piece.substr(0, take));
            piece.remove_prefix(take);
            if (limit_ != 0) {
                left_ -= take;
                fold_ = left_ == 0;
            }
        }
        if (!unterminated)
            end_line(out);
    }

    std::size_t limit_;
    std::size_t left_;
    bool inside_ = false; // bytes of the current line are out, its end is not
    bool fold_ = false;   // the current output line is full
};

} // namespace mta::smtp
