// Reads DNS answers (RFC 1035 section 4): header, question and the records that mail needs.
//
// No I/O. Safe on hostile input (fuzz_dns): compression pointers only go backwards and are counted, every length
// is checked, at most 100 records are taken; a broken message is errc::malformed. Names come out in text form
// with the dots between labels and no trailing dot; a label with bytes that no host name has (dots, control
// bytes, spaces, 8-bit) makes the record be skipped, since such names only serve to mislead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::net {

inline constexpr std::size_t dns_record_limit = 100;

namespace dns_type {
inline constexpr std::uint16_t a = 1, cname = 5, ptr = 12, mx = 15, txt = 16, aaaa = 28;
}

struct dns_record {
    std::string owner;
    std::uint16_t type = 0;
    std::uint32_t ttl = 0;
    std::uint16_t preference = 0; // MX
    std::string data;             // A, AAAA: 4 or 16 bytes; MX, PTR, CNAME: the name; TXT: the joined strings
};

struct dns_answer {
    int rcode = 0;
    bool authenticated = false; // the AD bit
    std::vector<dns_record> records; // of the answer section: of the wanted type and owned by the asked name
                                     // or, through CNAME records of the same answer, by its alias
};

// bytes is one whole DNS message, an answer to a question for `name` (compared without case) and `type`.
// A message that answers another question is errc::malformed.
[[nodiscard]] result<dns_answer> parse_dns_answer(std::string_view bytes, std::string_view name, std::uint16_t type);

} // namespace mta::net
