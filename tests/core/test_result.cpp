#include <catch2/catch.hpp>

#include <mta/core/result.hpp>

TEST_CASE("an error tells whether asking again can help", "[core][result]") {
    CHECK(mta::is_temporary(mta::errc::temporary));
    CHECK(mta::is_temporary(mta::errc::timeout));
    CHECK_FALSE(mta::is_temporary(mta::errc::malformed));
    CHECK_FALSE(mta::is_temporary(mta::errc::not_permitted));
    // A mail system that is unsure keeps the mail.
    CHECK(mta::is_temporary(std::make_error_code(std::errc::no_space_on_device)));
}

TEST_CASE("the text of a system error names what was tried", "[core][result]") {
    const mta::failure failed = mta::fail_errno("open /x", ENOENT);
    CHECK(failed.value().text() == "open /x: No such file or directory");
    CHECK(mta::error{mta::errc::malformed, "line 3: bad"}.text() == "line 3: bad");
}
