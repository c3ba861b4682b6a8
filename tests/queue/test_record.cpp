#include <catch2/catch.hpp>
#include <mta/queue/record.hpp>

using namespace mta;
using namespace mta::queue;
using namespace std::string_literals;

TEST_CASE("a record is written as type, length in groups of seven bits, data", "[queue][record]") {
    struct row {
        std::size_t length;
        std::string head;
    };
    const auto [length, head] = GENERATE(
        row{0, "N\0"s}, row{1, "N\x01"s}, row{127, "N\x7f"s}, row{128, "N\x80\x01"s}, row{300, "N\xac\x02"s},
        row{16383, "N\xff\x7f"s}, row{16384, "N\x80\x80\x01"s}, row{2097152, "N\x80\x80\x80\x01"s});
    std::string out;
    append_record(out, record_type::text, std::string(length, 'x'));
    CHECK(out.substr(0, head.size()) == head);
    CHECK(out.size() == head.size() + length);
    CHECK(record_size(length) == out.size());
    record_reader reader(out);
    const auto read = reader.next();
    REQUIRE(read);
    CHECK(read->type == record_type::text);
    CHECK(read->data.size() == length);
    CHECK(reader.done());
}

TEST_CASE("a broken record is an error, and the reader stays put", "[queue][record]") {
    struct row {
        const char* why;
        std::string bytes;
        queue::errc code;
    };
    const auto [why, bytes, code] =
        GENERATE(row{"no length byte", "N", queue::errc::truncated_record},
                 row{"length goes on past the end", "N\x80", queue::errc::truncated_record},
                 row{"data cut short", "N\x05hell", queue::errc::truncated_record},
                 row{"more than five groups", "N\x80\x80\x80\x80\x80\x01x", queue::errc::bad_length},
                 row{"over a signed int", "N\xff\xff\xff\xff\x0f", queue::errc::bad_length},
                 row{"endless length of zeros", "N\x80\x80\x80\x80\x80\x80\x80\x80", queue::errc::bad_length},
                 row{"over the limit", "N\xff\xff\xff\x7f", queue::errc::record_too_long});
    CAPTURE(why);
    record_reader reader(bytes);
    const auto read = reader.next();
    REQUIRE(!read);
    CHECK(read.error().code == code);
    CHECK(reader.offset() == 0);
}

TEST_CASE("the limit of a record's length is exact", "[queue][record]") {
    std::string out;
    append_record(out, record_type::text, std::string(10, 'x'));
    CHECK(record_reader(out, 10).next());
    CHECK(record_reader(out, 9).next().error().code == queue::errc::record_too_long);
}

TEST_CASE("the letter L means a filter in the envelope and a piece of a line in the text", "[queue][record]") {
    CHECK(record_label(record_type::filter) == "content_filter");
    CHECK(record_label(record_type::unterminated, true) == "unterminated_text");
    CHECK(record_label(static_cast<record_type>('?')) == "unknown_record_type");
    CHECK(record_label(static_cast<record_type>('\0')) == "unknown_record_type");
}
