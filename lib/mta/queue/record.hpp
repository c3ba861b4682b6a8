// The record codec of queue files and of submission streams.
//
// A record is: type (1 byte), length (base 128, low group first, at most 5 bytes), then that many bytes.
// docs/queue-format.md is the reference.
//
// No I/O and no allocation; every record points into the caller's bytes. Safe on hostile input (fuzz_records).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/queue/errc.hpp>

namespace mta::queue {

// The byte on disk. Values that are not listed can occur in damaged files.
enum class record_type : unsigned char {
    size = 'C',
    time = 'T',
    create_time = 'c', // these five letters name attributes in listings; on disk they are "A" records
    dsn_ret = '<',
    dsn_envid = 'i',
    dsn_original_recipient = 'o',
    dsn_notify = 'n',
    full_name = 'F',
    sender = 'S',
    attribute = 'A',
    recipient = 'R',
    done = 'D',
    cancelled = '/',
    original_recipient = 'O',
    warn_time = 'W',
    verp = 'V',
    filter = 'L',       // in the envelope and among extracted records
    unterminated = 'L', // in the content: a piece of a line, more follows
    inspector = 'I',
    redirect = '>',
    flags = 'f',
    delay = 'd',
    message = 'M', // ends the envelope
    text = 'N',    // a line, its end removed
    padding = 'w',
    extracted = 'X', // ends the content
    return_receipt = 'r',
    errors_to = 'e',
    priority = 'P',
    pointer = 'p',
    killed = 'K',
    milter_count = 'm',
    end = 'E', // ends the file
};

struct record {
    record_type type{};
    std::string_view data;
};

// Longer records are refused when a file is read, whatever its length claims.
inline constexpr std::size_t max_record_length = 16U << 20U;

// What a record takes on disk.
[[nodiscard]] constexpr std::size_t record_size(std::size_t length) noexcept {
    std::size_t groups = 1;
    for (std::size_t rest = length >> 7U; rest != 0; rest >>= 7U)
        ++groups;
    return 1 + groups + length;
}

// Appends one record. data must be shorter than 2 GiB.
inline void append_record(std::string& out, record_type type, std::string_view data) {
    out += static_cast<char>(type);
    std::size_t rest = data.size();
    while (rest >= 0x80) {
        out += static_cast<char>((rest & 0x7F) | 0x80);
        rest >>= 7U;
    }
    out += static_cast<char>(rest);
    out += data;
}

inline void append_attribute(std::string& out, std::string_view name, std::string_view value) {
    std::string pair;
    pair.reserve(name.size() + 1 + value.size());
    pair.append(name).append(1, '=').append(value);
    append_record(out, record_type::attribute, pair);
}

struct record_header {
    record_type type{};
    std::size_t length = 0;      // of the data
    std::size_t header_size = 0; // bytes before the data
};

// Reads type and length from the start of bytes. nullopt: more bytes are needed. Errors: bad_length,
// record_too_long (over limit).
[[nodiscard]] inline result<std::optional<record_header>> parse_record_header(std::string_view bytes,
                                                                              std::size_t limit) {
    std::uint64_t length = 0;
    for (std::size_t i = 1; i < bytes.size(); ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        length |= static_cast<std::uint64_t>(byte & 0x7FU) << (7 * (i - 1));
        if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
            return fail(errc::bad_length, "record length overflows");
        if ((byte & 0x80U) == 0) {
            if (length > limit)
                return fail(errc::record_too_long, "record of " + std::to_string(length) + " bytes");
            const auto type = static_cast<record_type>(static_cast<unsigned char>(bytes[0]));
            return record_header{type, static_cast<std::size_t>(length), i + 1};
        }
        if (i == 5)
            return fail(errc::bad_length, "record length of more than five bytes");
    }
    return std::optional<record_header>();
}

// Reads the records of a stretch of memory in order; pointers are handed out like any other record.
class record_reader {
public:
    // bytes must outlive the reader and every record it hands out.
    explicit record_reader(std::string_view bytes, std::size_t limit = max_record_length) noexcept
        : bytes_(bytes), limit_(limit) {}

    [[nodiscard]] bool done() const noexcept { return at_ == bytes_.size(); }
    [[nodiscard]] std::size_t offset() const noexcept { return at_; }

    // Requires !done(). Errors: truncated_record, bad_length, record_too_long. After an error the reader stays
    // where it was.
    [[nodiscard]] result<record> next() {
        const auto rest = bytes_.substr(at_);
        auto header = parse_record_header(rest, limit_);
        if (!header)
            return tl::make_unexpected(header.error());
        if (!*header || rest.size() - (*header)->header_size < (*header)->length)
            return fail(errc::truncated_record, "record at offset " + std::to_string(at_) + " is cut short");
        at_ += (*header)->header_size + (*header)->length;
        return record{(*header)->type, rest.substr((*header)->header_size, (*header)->length)};
    }

private:
    std::string_view bytes_;
    std::size_t limit_;
    std::size_t at_ = 0;
};

// The label that listings of a queue file use ("sender", "regular_text" …); in_content tells the two meanings of
// "L" apart. "unknown" for other bytes.
[[nodiscard]] std::string_view record_label(record_type type, bool in_content = false) noexcept;

// The listing-only type of a named attribute (create_time → 'c', notify_flags → 'n' …), nullopt for the others.
[[nodiscard]] std::optional<record_type> pseudo_type(std::string_view attribute_name) noexcept;

} // namespace mta::queue
