#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <mta/config/file_edit.hpp>
#include <mta/core/file.hpp>
#include "../support/temporary_directory.hpp"

using mta::config::file_edit;

namespace {

struct stat status_of(const std::string& path) {
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    return info;
}

} // namespace

TEST_CASE("a changed file keeps its mode, and leaves no other file behind", "[config][file_edit]") {
    const mta::test::temporary_directory folder;
    const auto path = folder.path() + "/main.cf";
    REQUIRE(mta::replace_file(path, "a = 1\n", 0640));
    {
        auto file = file_edit::begin(path);
        REQUIRE(file);
        CHECK(file->text() == "a = 1\n");
        CHECK(access((path + ".tmp").c_str(), F_OK) == 0);
        REQUIRE(file->commit("a = 2\n"));
    }
    CHECK(mta::read_file(path).value() == "a = 2\n");
    CHECK((status_of(path).st_mode & 07777) == 0640);
    CHECK(access((path + ".tmp").c_str(), F_OK) != 0);
}

TEST_CASE("a change that changes nothing leaves the very file", "[config][file_edit]") {
    const mta::test::temporary_directory folder;
    const auto path = folder.path() + "/main.cf";
    REQUIRE(mta::replace_file(path, "a = 1\n", 0644));
    const auto before = status_of(path);
    {
        auto file = file_edit::begin(path);
        REQUIRE(file);
        REQUIRE(file->commit("a = 1\n"));
    }
    CHECK(status_of(path).st_ino == before.st_ino);
    CHECK(access((path + ".tmp").c_str(), F_OK) != 0);
}

TEST_CASE("what is not committed never was", "[config][file_edit]") {
    const mta::test::temporary_directory folder;
    const auto path = folder.path() + "/main.cf";
    REQUIRE(mta::replace_file(path, "a = 1\n", 0644));
    { REQUIRE(file_edit::begin(path)); }
    CHECK(mta::read_file(path).value() == "a = 1\n");
    CHECK(access((path + ".tmp").c_str(), F_OK) != 0);
}

TEST_CASE("a symbolic link stays one, and its file changes", "[config][file_edit]") {
    const mta::test::temporary_directory folder;
    const auto target = folder.path() + "/real";
    const auto link = folder.path() + "/main.cf";
    REQUIRE(mta::replace_file(target, "a = 1\n", 0644));
    REQUIRE(symlink("real", link.c_str()) == 0);
    {
        auto file = file_edit::begin(link);
        REQUIRE(file);
        REQUIRE(file->commit("a = 2\n"));
    }
    struct stat info {};
    REQUIRE(lstat(link.c_str(), &info) == 0);
    CHECK(S_ISLNK(info.st_mode));
    CHECK(mta::read_file(target).value() == "a = 2\n");
}

TEST_CASE("a file that does not exist cannot be changed", "[config][file_edit]") {
    const mta::test::temporary_directory folder;
    const auto file = file_edit::begin(folder.path() + "/main.cf");
    REQUIRE_FALSE(file);
    CHECK(access((folder.path() + "/main.cf.tmp").c_str(), F_OK) != 0);
}
