#include <mta/core/progress.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>

#include <catch2/catch.hpp>

namespace {

// What a run writes to a terminal.
std::string seen_of(const char* title, std::chrono::milliseconds silent_for, const std::function<void(mta::progress&)>& run) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(master >= 0);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    std::FILE* terminal = std::fopen(::ptsname(master), "w");
    REQUIRE(terminal != nullptr);
    {
        mta::progress bar(title, terminal, silent_for);
        run(bar);
    }
    std::fputs("done", terminal);
    std::fflush(terminal);
    std::array<char, 4096> bytes{};
    const auto got = ::read(master, bytes.data(), bytes.size());
    std::fclose(terminal);
    ::close(master);
    return {bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

// Over that many files.
std::string seen(int files, std::chrono::milliseconds silent_for) {
    return seen_of("postsuper", silent_for, [files](mta::progress& bar) {
        for (int i = 0; i < files; ++i)
            bar.count();
    });
}

} // namespace

TEST_CASE("a terminal is told how far a long run is, and a short one leaves no trace", "[core][progress]") {
    using namespace std::chrono_literals;
    const auto text = seen(1000, 0ms);
    CAPTURE(text);
    CHECK(text.starts_with("postsuper: 256 files looked at\x1b[K\r"));
    CHECK(text.ends_with("\r\x1b[Kdone"));
    CHECK(seen(255, 0ms) == "done");
    CHECK(seen(100000, 1h) == "done");
}

TEST_CASE("a terminal is told what part is done, or how much where nobody knows the whole", "[core][progress]") {
    using namespace std::chrono_literals;
    const auto run = [](mta::progress& bar) { bar.at(3U << 20U, 12U << 20U, "read"); };
    CHECK(seen_of("virtual", 0ms, run) == "virtual: 25% read\x1b[K\r\x1b[Kdone");
    CHECK(seen_of("virtual", 0ms, [](mta::progress& bar) { bar.at(3U << 20U, 0, "read"); }) == "virtual: 3 MB read\x1b[K\r\x1b[Kdone");
    CHECK(seen_of("virtual", 1h, run) == "done");
}

TEST_CASE("no other file is told", "[core][progress]") {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    {
        mta::progress bar("postsuper", file, std::chrono::milliseconds(0));
        for (int i = 0; i < 1000; ++i)
            bar.count();
    }
    CHECK(std::ftell(file) == 0);
    std::fclose(file);
}
