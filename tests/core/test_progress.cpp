#include <mta/core/progress.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <string>

#include <catch2/catch.hpp>

namespace {

// What a run over that many files writes to a terminal.
std::string seen(int files, std::chrono::milliseconds silent_for) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(master >= 0);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    std::FILE* terminal = std::fopen(::ptsname(master), "w");
    REQUIRE(terminal != nullptr);
    {
        mta::progress bar("postsuper", terminal, silent_for);
        for (int i = 0; i < files; ++i)
            bar.count();
    }
    std::fputs("done", terminal);
    std::fflush(terminal);
    std::array<char, 4096> bytes{};
    const auto got = ::read(master, bytes.data(), bytes.size());
    std::fclose(terminal);
    ::close(master);
    return {bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
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
