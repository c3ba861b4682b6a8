// The content of DATA (RFC 5321 4.5.2): lines out of bytes, dots unstuffed, the end found and nothing else
// taken for it.
//
// A line ends at LF; one CR directly before that LF belongs to the line end, a CR elsewhere is data. What
// ends the message depends on the policy (smtpd_forbid_bare_newline): by `normalize`, `note` and `reject`
// only CRLF "." CRLF does, so that "LF.LF", "LF.CRLF" and "CRLF.LF" cannot smuggle a second message, and a
// lone "." line beside a bare LF is dropped, as the reference does (test_data_decoder.cpp has the matrix); by
// `accept` any of them ends it.
//
// Also the content of BDAT (RFC 3030), which has a length and neither dots nor an end mark: see feed_chunk().
//
// No I/O. Memory: one line of at most line_limit bytes, and that only when a line spans two inputs. Safe on
// hostile input (fuzz_smtp_server).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mta::smtp {

enum class bare_newline {
    accept,    // LF is as good as CRLF everywhere ("no")
    normalize, // LF ends a line but never takes part in the end of data
    note,      // as normalize, and told in the log
    reject,    // the first bare LF refuses the message
};

class data_decoder {
public:
    data_decoder(std::size_t line_limit, bare_newline policy) : limit_(line_limit), policy_(policy) {}

    enum class kind {
        more, // input used up; feed again
        line, // text() is a line or the piece of one
        end,  // end of data; input is left at the first byte after it
    };

    // Takes bytes from the front of input and removes them from it.
    [[nodiscard]] kind feed(std::string_view& input);

    // The same for the bytes of a chunk: no dots, and `end` is never told.
    [[nodiscard]] kind feed_chunk(std::string_view& input);
    // After the last chunk: whether text() is what was left without a line end.
    [[nodiscard]] bool finish_chunks();

    // Valid after `line` until the next call of feed, and while the input's bytes are.
    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    // Whether text() is a piece whose line goes on (it was cut at line_limit).
    [[nodiscard]] bool unterminated() const noexcept { return unterminated_; }
    // Whether a line ended in LF without CR so far.
    [[nodiscard]] bool saw_bare_newline() const noexcept { return saw_bare_; }

private:
    kind advance(std::string_view& input, bool dots);
    bool complete(std::string_view raw, bool bare, bool dots, kind& what);
    kind piece(std::string_view raw, bool dots);

    std::size_t limit_;
    bare_newline policy_;
    std::string held_; // the unfinished piece of earlier inputs
    std::string_view text_;
    bool drop_held_ = false;    // held_ was given out
    bool keep_cr_ = false;      // and a CR after it was not
    bool unterminated_ = false; // of the piece just given
    bool continued_ = false;    // the next piece does not start a line
    bool last_bare_ = false;    // the line before ended in a bare LF
    bool saw_bare_ = false;
};

} // namespace mta::smtp
