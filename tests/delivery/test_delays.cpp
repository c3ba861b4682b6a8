#include <catch2/catch.hpp>

#include <mta/delivery/delays.hpp>

using namespace mta::delivery;

TEST_CASE("a delay prints two significant digits within the resolution", "[delivery][delays]") {
    struct row {
        long long microseconds;
        int decimals;
        const char* text;
    };
    const auto r = GENERATE(row{0, 2, "0"}, row{4999, 2, "0"}, row{5000, 2, "0.01"}, row{10000, 2, "0.01"},
                            row{99999, 2, "0.1"}, row{123456, 2, "0.12"}, row{999999, 2, "1"}, row{1000000, 2, "1"},
                            row{1240000, 2, "1.2"}, row{1250000, 2, "1.3"}, row{9940000, 2, "9.9"},
                            row{9960000, 2, "10"}, row{10400000, 2, "10"}, row{12700000, 2, "13"},
                            row{123000000, 2, "123"}, row{123456, 0, "0"}, row{500000, 0, "1"}, row{123, 6, "0.00012"},
                            row{123456, 6, "0.12"}, row{99, 6, "0.000099"});
    CAPTURE(r.microseconds, r.decimals);
    CHECK(format_delay(r.microseconds, r.decimals) == r.text);
}

TEST_CASE("the four parts of a delay", "[delivery][delays]") {
    delay_times t;
    t.arrival = {100, 0};
    t.active = {101, 500000};
    t.handed = {101, 520000};
    t.connected = {102, 0};
    t.done = {105, 0};
    CHECK(format_delays(t) == "delay=5, delays=1.5/0.02/0.48/3");
    t.connected = {};
    CHECK(format_delays(t) == "delay=5, delays=1.5/0.02/0/3.5");
    t.connects = true; // and never was connected
    CHECK(format_delays(t) == "delay=5, delays=1.5/0.02/3.5/0");
    t.done = {99, 0}; // the clock went back
    CHECK(format_delays(t) == "delay=0, delays=1.5/0.02/0/0");
}
