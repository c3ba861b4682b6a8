#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/core/log.hpp>
#include <mta/core/text.hpp>

#include "../support/temporary_directory.hpp"

TEST_CASE("a line in the log file has the form that log readers know", "[core][log]") {
    const mta::test::temporary_directory dir;
    auto sink = mta::open_log_file(dir / "maillog");
    REQUIRE(sink);
    const mta::logger log(*sink, "postfix/smtpd", 77);
    log.info("connect from unknown[127.0.0.1]");
    log.with_number(78).warning("two\nlines");
    const auto text = mta::read_file(dir / "maillog").value();
    const auto lines = mta::split(std::string_view(text), "\n");
    REQUIRE(lines.size() == 2);
    // "Nov 21 02:06:28 host tag[number]: text"
    const auto words = mta::split(lines[0], " ");
    REQUIRE(words.size() > 4);
    CHECK(words[0].size() == 3);
    CHECK(words[2].size() == 8);
    CHECK(words[2][2] == ':');
    CHECK(words[3].find('.') == std::string_view::npos);
    CHECK(lines[0][6] == ' ');
    CHECK(lines[0].ends_with(" postfix/smtpd[77]: connect from unknown[127.0.0.1]"));
    CHECK(lines[1].ends_with(" postfix/smtpd[78]: warning: two?lines"));
}

TEST_CASE("a line in the log file is bounded, and ends with a whole character", "[core][log]") {
    const mta::test::temporary_directory dir;
    auto sink = mta::open_log_file(dir / "maillog");
    REQUIRE(sink);
    const mta::logger log(*sink, "t", 7);
    const std::string long_text(300'000, 'x');
    log.info(long_text);
    log.warning(long_text);
    log.info(std::string(2000, 'y'));
    std::string wide = "z";
    for (int i = 0; i < 1200; ++i)
        wide += "\u00fc";
    log.info(wide);
    const auto text = mta::read_file(dir / "maillog").value();
    const auto lines = mta::split(std::string_view(text), "\n");
    REQUIRE(lines.size() == 4);
    const auto body = [](std::string_view line) { return line.substr(line.find(" t[7]: ") + 7); };
    CHECK(body(lines[0]) == std::string(2000, 'x'));
    CHECK(body(lines[1]) == "warning: " + std::string(1991, 'x'));
    CHECK(body(lines[2]) == std::string(2000, 'y'));
    CHECK(body(lines[3]) == wide.substr(0, 1999));
}
