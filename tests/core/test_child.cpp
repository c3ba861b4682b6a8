#include <catch2/catch.hpp>

#include <mta/core/child.hpp>

TEST_CASE("a child's status comes back, without a shell", "[core][child]") {
    CHECK(mta::run_child("/bin/sh", {.arguments = {"sh", "-c", "exit 7"}, .environment = {}}).value() == 7);
    CHECK(mta::run_child("/bin/sh", {.arguments = {"sh", "-c", "kill -9 $$"}, .environment = {}}).value() == 137);
    CHECK(mta::run_child("/nonexistent", {.arguments = {"x"}, .environment = {}}).error().code ==
          std::errc::no_such_file_or_directory);
}
