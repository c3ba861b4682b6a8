#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>

#include <mta/message/date.hpp>

TEST_CASE("a date is in local time and names its zone", "[message][date]") {
    struct row {
        const char* zone;
        std::time_t when;
        const char* text;
    };
    const auto r = GENERATE(row{"UTC", 1795239461, "Sat, 21 Nov 2026 05:37:41 +0000 (UTC)"},
                            row{"UTC", 0, "Thu,  1 Jan 1970 00:00:00 +0000 (UTC)"},
                            row{"XST-5:30", 1795239461, "Sat, 21 Nov 2026 11:07:41 +0530 (XST)"},
                            row{"NST3:30", 1795239461, "Sat, 21 Nov 2026 02:07:41 -0330 (NST)"},
                            row{"UTC", 1772236800, "Sat, 28 Feb 2026 00:00:00 +0000 (UTC)"});
    ::setenv("TZ", r.zone, 1);
    ::tzset();
    CHECK(mta::message::format_date(r.when) == r.text);
    ::setenv("TZ", "UTC", 1);
    ::tzset();
}
