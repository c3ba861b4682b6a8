// A spool in a directory of its own, gone at the end of the test.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>
#include <mta/queue/spool.hpp>

namespace mta::test {

struct temporary_directory {
    std::string path = "/tmp/test_queue.XXXXXX";
    temporary_directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory() { (void)!std::system(("rm -rf " + path).c_str()); }
};

struct temporary_spool : temporary_directory {
    queue::spool spool;
    explicit temporary_spool(queue::spool_options options = {}) : spool(make(std::move(options))) {}

    void put(queue::directory which, const std::string& id, const std::string& bytes, mode_t mode = 0700) const {
        REQUIRE(spool.make_hash_directories(which, id));
        const auto file = spool.path(which, id);
        std::ofstream(file, std::ios::binary) << bytes;
        REQUIRE(::chmod(file.c_str(), mode) == 0);
    }

private:
    queue::spool make(queue::spool_options options) const {
        options.root = path;
        auto opened = queue::spool::open(std::move(options));
        REQUIRE(opened);
        REQUIRE(opened->make_directories());
        return *opened;
    }
};

inline std::string slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string golden(const std::string& name) {
    return slurp(TESTDATA "/queue/" + name);
}

} // namespace mta::test
