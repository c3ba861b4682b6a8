#include "temporary_spool.hpp"

#include <fcntl.h>

#include <mta/core/unique_fd.hpp>
#include <mta/queue/record_file.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

struct file_of : test::temporary_directory {
    unique_fd fd;
    long long size;
    explicit file_of(const std::string& bytes) : size(static_cast<long long>(bytes.size())) {
        std::ofstream(path + "/f", std::ios::binary) << bytes;
        fd = unique_fd(::open((path + "/f").c_str(), O_RDONLY | O_CLOEXEC));
    }
};

std::string all(record_file& records) {
    std::string seen;
    for (;;) {
        auto record = records.next();
        if (!record)
            return seen + '!' + std::to_string(record.error().code.value());
        if (!*record)
            return seen;
        seen += static_cast<char>((*record)->type);
        seen += (*record)->data.size() < 20 ? std::string((*record)->data) : "…";
    }
}

std::string with(record_type type, std::string_view data) {
    std::string out;
    append_record(out, type, data);
    return out;
}

} // namespace

TEST_CASE("records are read across the borders of the window", "[queue][record_file]") {
    std::string bytes;
    for (int i = 0; i < 5000; ++i)
        append_record(bytes, record_type::text, std::string(static_cast<std::size_t>(i % 200), 'x'));
    append_record(bytes, record_type::text, std::string(300000, 'y'));
    append_record(bytes, record_type::end, {});
    const file_of file(bytes);
    record_file records(file.fd.get(), file.size);
    std::string again;
    for (auto record = records.next(); record && *record; record = records.next())
        append_record(again, (*record)->type, (*record)->data);
    CHECK(again == bytes);
}

TEST_CASE("pointers are followed, empty ones and padding skipped", "[queue][record_file]") {
    std::string bytes = with(record_type::sender, "s") + with(record_type::pointer, format_pointer(0)) +
                        with(record_type::padding, "0") + with(record_type::pointer, format_pointer(49)) +
                        with(record_type::message, {});
    REQUIRE(bytes.size() == 3 + 17 + 3 + 17 + 2);
    bytes += with(record_type::recipient, "lost?");
    REQUIRE(bytes.size() == 49);
    bytes += with(record_type::recipient, "r") + with(record_type::pointer, format_pointer(40));
    const file_of file(bytes);
    record_file records(file.fd.get(), file.size);
    CHECK(all(records) == "SsRrMRlost?!11"); // the end is not marked, so it comes round: a loop is named
    record_file raw(file.fd.get(), file.size, pointers::hand_out);
    CHECK(all(raw) == "Ssp              0w0p             49MRlost?Rrp             40");
}

TEST_CASE("a circle of pointers is found", "[queue][record_file]") {
    const file_of file(with(record_type::sender, "s") + with(record_type::pointer, format_pointer(3)));
    record_file records(file.fd.get(), file.size);
    REQUIRE(records.next());
    CHECK(records.next().error().code == queue::errc::pointer_loop);
}

TEST_CASE("pointers that lead nowhere are named", "[queue][record_file]") {
    const std::string data = GENERATE("99999", "-1", "x", "", "              20");
    const file_of file(with(record_type::pointer, data));
    record_file records(file.fd.get(), file.size);
    CHECK(records.next().error().code == queue::errc::bad_pointer);
}
