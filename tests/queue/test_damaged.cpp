#include <catch2/catch.hpp>

#include <dirent.h>
#include <fcntl.h>

#include <set>
#include <string>
#include <vector>

#include <mta/queue/errc.hpp>
#include <mta/queue/queue_file.hpp>

using namespace mta::queue;

namespace {

const std::string folder = std::string(TESTDATA) + "/queue/damaged/";

struct row {
    const char* file; // testdata/queue/damaged/make.py says what is in it
    errc damage;
};

const std::vector<row> rows = {
    {"empty", errc::missing_end},
    {"no_queue_file", errc::truncated_record},
    {"zeros", errc::not_a_queue_file},
    {"cut_in_a_type", errc::missing_end},
    {"cut_in_a_length", errc::truncated_record},
    {"cut_in_data", errc::truncated_record},
    {"cut_in_the_text", errc::truncated_record},
    {"cut_after_the_text", errc::missing_end},
    {"cut_before_the_end_record", errc::missing_end},
    {"only_an_envelope", errc::missing_end},
    {"endless_length", errc::bad_length},
    {"length_over_31_bits", errc::bad_length},
    {"length_beyond_the_file", errc::truncated_record},
    {"record_over_the_limit", errc::record_too_long},
    {"unknown_type_in_the_envelope", errc::unexpected_record},
    {"text_in_the_envelope", errc::unexpected_record},
    {"recipient_in_the_text", errc::unexpected_record},
    {"end_in_the_text", errc::unexpected_record},
    {"text_among_the_extracted", errc::unexpected_record},
    {"sender_among_the_extracted", errc::unexpected_record},
    {"no_arrival_time", errc::no_arrival_time},
    {"arrival_time_of_letters", errc::bad_time},
    {"arrival_time_below_zero", errc::bad_time},
    {"no_sender", errc::no_sender},
    {"two_senders", errc::second_sender},
    {"recipient_before_the_sender", errc::early_recipient},
    {"attribute_without_a_name", errc::bad_attribute},
    {"attribute_without_equals", errc::bad_attribute},
    {"size_of_letters", errc::bad_size_record},
    {"size_below_zero", errc::bad_size_record},
    {"size_of_two_fields", errc::bad_size_record},
    {"pointer_of_letters", errc::bad_pointer},
    {"pointer_below_zero", errc::bad_pointer},
    {"pointer_beyond_the_end", errc::bad_pointer},
    {"pointer_to_itself", errc::pointer_loop},
    {"pointer_back_to_the_start", errc::pointer_loop},
    {"pointer_into_a_record", errc::pointer_loop},
};

mta::result<queue_file> open(const std::string& name) {
    return queue_file::adopt(mta::unique_fd(::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC)));
}

// The lines of the text, or the error of the first step that fails.
mta::result<std::string> read_all(const std::string& name) {
    auto file = open(name);
    if (!file)
        return tl::make_unexpected(file.error());
    auto envelope = file->read_envelope();
    if (!envelope)
        return tl::make_unexpected(envelope.error());
    std::string text;
    std::string_view line;
    bool unterminated = false;
    for (;;) {
        auto more = file->next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            return text;
        text.append(line).append("\n");
    }
}

} // namespace

TEST_CASE("each kind of damage has its name, and counts as damage", "[queue][damaged]") {
    const auto [name, damage] = GENERATE(from_range(rows));
    CAPTURE(name);
    const auto read = read_all(name);
    REQUIRE_FALSE(read);
    CAPTURE(read.error().text());
    CHECK(read.error().code == make_error_code(damage));
    CHECK(is_damage(read.error().code));
    CHECK_FALSE(read.error().detail.empty());
}

TEST_CASE("a size record that is wrong about places, and bytes after the end, harm nobody", "[queue][damaged]") {
    const std::string name = GENERATE("good_but_the_size_points_nowhere", "good_but_the_size_points_into_the_text",
                                      "good_with_bytes_after_the_end");
    CAPTURE(name);
    const auto read = read_all(name);
    REQUIRE(read);
    CHECK(*read == "Subject: x\n\nbody\n");
}

TEST_CASE("no file among the damaged is forgotten by these tests", "[queue][damaged]") {
    std::set<std::string> known = {"make.py", ".", ".."};
    for (const auto& one : rows)
        known.insert(one.file);
    DIR* handle = ::opendir(folder.c_str());
    REQUIRE(handle != nullptr);
    while (const dirent* entry = ::readdir(handle)) {
        const std::string name = entry->d_name;
        CAPTURE(name);
        CHECK((name.starts_with("good_") || known.count(name) == 1));
    }
    ::closedir(handle);
}
