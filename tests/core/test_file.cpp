#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <mta/core/file.hpp>

#include "../support/temporary_directory.hpp"

TEST_CASE("a file is replaced as a whole", "[core][file]") {
    const mta::test::temporary_directory dir;
    const auto path = dir / "f";
    REQUIRE(mta::replace_file(path, "one", 0600));
    REQUIRE(mta::replace_file(path, "two\n", 0640));
    CHECK(mta::read_file(path).value() == "two\n");
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("a temporary left by a killed process is no obstacle", "[core][file]") {
    const mta::test::temporary_directory dir;
    const auto path = dir / "f";
    const auto fd = mta::open_file(path + ".tmp" + std::to_string(::getpid()), O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd);
    CHECK(mta::replace_file(path, "x", 0600));
}

TEST_CASE("a file over the limit is not read", "[core][file]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "f", std::string(100, 'x'), 0600));
    CHECK(mta::read_file(dir / "f", 100).value().size() == 100);
    CHECK(mta::read_file(dir / "f", 99).error().code == mta::errc::too_large);
    CHECK(mta::read_file(dir / "absent").error().code == std::errc::no_such_file_or_directory);
}

TEST_CASE("the parent of a path", "[core][file]") {
    CHECK(mta::parent_directory("/a/b") == "/a");
    CHECK(mta::parent_directory("/a") == "/");
    CHECK(mta::parent_directory("a") == ".");
}
