#include <catch2/catch.hpp>

#include <fstream>

#include <mta/queue/ordered_reading.hpp>

#include "temporary_spool.hpp"

using namespace mta::queue;

namespace {

std::vector<std::string> names_in_order(const spool& where) {
    std::vector<std::string> names;
    auto done = scan(where, directory::hold, [&](const scan_entry& entry) {
        names.emplace_back(entry.name);
        return scan_step::go_on;
    });
    REQUIRE(done);
    return names;
}

} // namespace

TEST_CASE("files read on several threads come out in the order of the scan", "[queue][ordered_reading]") {
    const mta::test::temporary_spool queues;
    const auto& where = queues.spool;
    for (int i = 0; i < 1000; ++i)
        std::ofstream(where.root() + "/hold/" + std::to_string(100000 + i)) << i;
    const unsigned threads = GENERATE(1U, 2U, 5U);
    CAPTURE(threads);
    ordered_reading<std::string> reading(threads, [](const scanned_file& file) -> std::optional<std::string> {
        if (file.name.ends_with('7'))
            return std::nullopt;
        return std::string(file.name);
    });
    std::vector<std::string> expected;
    for (auto& name : names_in_order(where))
        if (!name.ends_with('7'))
            expected.push_back(std::move(name));

    SECTION("all of them, and again") {
        for (int round = 0; round < 2; ++round) {
            std::vector<std::string> seen;
            const auto done = reading.run(scanner(where, directory::hold), [&](std::string&& name) {
                seen.push_back(std::move(name));
                return scan_step::go_on;
            });
            REQUIRE(done);
            CHECK(*done == scan_step::go_on);
            CHECK(seen == expected);
        }
    }
    SECTION("until the taker has enough") {
        std::size_t seen = 0;
        const auto done = reading.run(scanner(where, directory::hold), [&](std::string&&) {
            return ++seen == 10 ? scan_step::stop : scan_step::go_on;
        });
        REQUIRE(done);
        CHECK(*done == scan_step::stop);
        CHECK(seen == 10);
    }
    SECTION("a directory that is not there is an error") {
        CHECK_FALSE(reading.run(scanner(where, "nosuch"), [](std::string&&) { return scan_step::go_on; }));
    }
}
