#include <catch2/catch.hpp>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>

#include "../support/temporary_directory.hpp"

TEST_CASE("an exclusive lock keeps others out, shared ones live together", "[core][lock]") {
    const mta::test::temporary_directory dir;
    const auto a = mta::open_file(dir / "f", O_RDWR | O_CREAT, 0600);
    const auto b = mta::open_file(dir / "f", O_RDWR);
    REQUIRE(a);
    REQUIRE(b);
    CHECK(mta::try_lock(a->get(), mta::lock_mode::shared).value());
    CHECK(mta::try_lock(b->get(), mta::lock_mode::shared).value());
    CHECK_FALSE(mta::try_lock(b->get(), mta::lock_mode::exclusive).value());
    mta::unlock(a->get());
    CHECK(mta::try_lock(b->get(), mta::lock_mode::exclusive).value());
    CHECK_FALSE(mta::try_lock(a->get(), mta::lock_mode::shared).value());
}
