#include <catch2/catch.hpp>

#include <mta/net/dns_message.hpp>

using namespace mta;
using namespace mta::net;

namespace {

std::string u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 255)}; }

std::string name_bytes(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        const auto dot = std::min(name.find('.'), name.size());
        out += static_cast<char>(dot);
        out += name.substr(0, dot);
        name.remove_prefix(std::min(dot + 1, name.size()));
    }
    return out + '\0';
}

std::string header(unsigned answers, unsigned flags = 0x8180) {
    return u16(1) + u16(flags) + u16(1) + u16(answers) + u16(0) + u16(0);
}

std::string question(std::string_view name, unsigned type) { return name_bytes(name) + u16(type) + u16(1); }

std::string record(const std::string& owner, unsigned type, const std::string& data) {
    return owner + u16(type) + u16(1) + u16(0) + u16(300) + u16(static_cast<unsigned>(data.size())) + data;
}

const std::string same_name("\xc0\x0c", 2); // points at the question

} // namespace

TEST_CASE("an MX answer with compressed names is read", "[net][dns]") {
    const auto bytes = header(2) + question("example.com", dns_type::mx) +
                       record(same_name, dns_type::mx, u16(20) + std::string("\2mx\xc0\x0c", 5)) +
                       record(same_name, dns_type::mx, u16(10) + name_bytes("Other.Example"));
    const auto answer = parse_dns_answer(bytes, "EXAMPLE.com", dns_type::mx);
    REQUIRE(answer);
    REQUIRE(answer->records.size() == 2);
    CHECK(answer->records[0].data == "mx.example.com");
    CHECK(answer->records[0].preference == 20);
    CHECK(answer->records[1].data == "other.example");
}

TEST_CASE("an answer cut at any byte is an error, never a crash", "[net][dns]") {
    const auto bytes = header(1) + question("example.com", dns_type::mx) +
                       record(same_name, dns_type::mx, u16(20) + name_bytes("mx.example.com"));
    REQUIRE(parse_dns_answer(bytes, "example.com", dns_type::mx));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
        CHECK(parse_dns_answer(bytes.substr(0, cut), "example.com", dns_type::mx).error().code == errc::malformed);
}

TEST_CASE("the null MX has an empty name", "[net][dns]") {
    const auto bytes = header(1) + question("example.com", dns_type::mx) +
                       record(same_name, dns_type::mx, u16(0) + std::string(1, '\0'));
    const auto answer = parse_dns_answer(bytes, "example.com", dns_type::mx);
    REQUIRE(answer);
    REQUIRE(answer->records.size() == 1);
    CHECK(answer->records[0].data.empty());
}

TEST_CASE("aliases are followed within the answer", "[net][dns]") {
    const auto bytes = header(2) + question("www.example", dns_type::a) +
                       record(same_name, dns_type::cname, name_bytes("real.example")) +
                       record(name_bytes("real.example"), dns_type::a, "\x7f\0\0\1" + std::string()) +
                       record(name_bytes("evil.example"), dns_type::a, "\x7f\1\1\1");
    // "\x7f\0\0\1" as a C string would end at the first zero.
    const auto whole = header(3) + question("www.example", dns_type::a) +
                       record(same_name, dns_type::cname, name_bytes("real.example")) +
                       record(name_bytes("real.example"), dns_type::a, std::string("\x7f\0\0\1", 4)) +
                       record(name_bytes("evil.example"), dns_type::a, std::string("\x7f\1\1\1", 4));
    const auto answer = parse_dns_answer(whole, "www.example", dns_type::a);
    REQUIRE(answer);
    REQUIRE(answer->records.size() == 1);
    CHECK(answer->records[0].data == std::string("\x7f\0\0\1", 4));
    CHECK_FALSE(parse_dns_answer(bytes, "www.example", dns_type::a)); // an A record of one byte
}

TEST_CASE("hostile answers are refused", "[net][dns]") {
    struct row {
        const char* why;
        std::string bytes;
    };
    const auto q = question("example.com", dns_type::mx);
    const auto r = GENERATE_COPY(
        row{"a name that points at itself", header(1) + q + record(std::string("\xc0\x1d", 2), dns_type::mx, "abc")},
        row{"a pointer forwards", header(1) + q + record(std::string("\xc0\xff", 2), dns_type::mx, "abc")},
        row{"MX data shorter than its preference", header(1) + q + record(same_name, dns_type::mx, "a")},
        row{"MX name past the data", header(1) + q + record(same_name, dns_type::mx, u16(1) + "\5abc")},
        row{"a reserved label type", header(1) + q + record(std::string("\x80", 1), dns_type::mx, "abc")},
        row{"a question, not an answer", header(0, 0x0100) + q},
        row{"an answer for another name", header(0) + question("example.org", dns_type::mx)},
        row{"an answer for another type", header(0) + question("example.com", dns_type::a)},
        row{"two questions", u16(1) + u16(0x8180) + u16(2) + u16(0) + u16(0) + u16(0) + q + q},
        row{"more records announced than there are", header(9) + q}, row{"nothing", ""});
    CAPTURE(r.why);
    CHECK(parse_dns_answer(r.bytes, "example.com", dns_type::mx).error().code == errc::malformed);
}

TEST_CASE("names that are no host names are dropped, and records are capped", "[net][dns]") {
    const auto q = question("example.com", dns_type::mx);
    const auto odd = header(1) + q + record(same_name, dns_type::mx, u16(1) + std::string("\5a\nb.c\3com\0", 11));
    const auto answer = parse_dns_answer(odd, "example.com", dns_type::mx);
    REQUIRE(answer);
    CHECK(answer->records.empty());

    std::string many = header(300) + q;
    for (int i = 0; i < 300; ++i)
        many += record(same_name, dns_type::mx, u16(1) + name_bytes("m" + std::to_string(i) + ".example"));
    CHECK(parse_dns_answer(many, "example.com", dns_type::mx)->records.size() == dns_record_limit);
}

TEST_CASE("a loop of aliases ends", "[net][dns]") {
    std::string bytes = header(40) + question("a.example", dns_type::a);
    for (int i = 0; i < 20; ++i)
        bytes += record(name_bytes("a.example"), dns_type::cname, name_bytes("b.example")) +
                 record(name_bytes("b.example"), dns_type::cname, name_bytes("a.example"));
    CHECK(parse_dns_answer(bytes, "a.example", dns_type::a).error().code == errc::malformed);
}
