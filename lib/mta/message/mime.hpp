// Follows the MIME structure of a message (RFC 2045, 2046) just far enough to know which lines are headers of a part and
// whether any part says that it holds 8-bit text.
//
// Streaming and bounded: a stack of boundaries, one part header at a time. Nothing is decoded. Lines that are too long
// arrive in pieces; only first pieces are fed. No I/O. Safe on hostile input (fuzz_header).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mta::message {

struct mime_limits {
    std::size_t nesting = 100;          // deeper multiparts are plain text
    std::size_t boundary_length = 2048; // longer boundaries are cut
    std::size_t header = 102400;        // of one part header
};

// What a line behind the message's own header is.
enum class line_kind { body, header, continuation };

class mime_tracker {
public:
    explicit mime_tracker(mime_limits limits = {}) : limits_(limits) {}

    // One logical header of the message itself. Only Content-Type and Content-Transfer-Encoding matter.
    void primary_header(std::string_view name, std::string_view value) { header(name, value); }
    // The empty line after it was seen.
    void primary_end() { end_of_header(); }

    // Whether body lines need to be fed at all.
    [[nodiscard]] bool active() const noexcept { return in_header_ || !boundaries_.empty(); }
    line_kind body_line(std::string_view line);

    // Whether a header asked for more than 7 bits: "8bit" or "binary".
    [[nodiscard]] bool eight_bit() const noexcept { return eight_bit_; }

private:
    void header(std::string_view name, std::string_view value);
    void flush_header();
    void end_of_header();

    mime_limits limits_;
    std::vector<std::string> boundaries_;
    std::string pending_;  // the logical part header so far
    std::string boundary_; // of the Content-Type in the current header
    bool in_header_ = false;
    bool multipart_ = false;
    bool message_ = false; // message/rfc822: headers follow again
    bool eight_bit_ = false;
};

// A parameter of a structured value such as `multipart/mixed; boundary="x y"`; "" when absent.
[[nodiscard]] std::string header_parameter(std::string_view value, std::string_view name);

} // namespace mta::message
