// Tells somebody who watches a terminal how far a long run over files has come; silent elsewhere, and at first.
//
// Any thread may count. The line it writes ends with a return, so that whatever is written next takes its place.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace mta {

class progress {
public:
    progress(std::string title, std::FILE* to, std::chrono::milliseconds silent_for = std::chrono::seconds(1))
        : title_(std::move(title)), to_(to), shown_(::isatty(::fileno(to)) == 1), next_(clock::now() + silent_for) {}
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;
    ~progress() { clear(); }

    // One more file was looked at.
    void count() {
        if (const auto so_far = ++files_; shown_ && so_far % 256 == 0)
            show(std::to_string(so_far) + " files looked at");
    }
    // So much of all was done: read, written. Nobody may know how much there is (0).
    void at(std::size_t done, std::size_t total, const char* what) {
        if (shown_)
            show(total != 0 ? std::to_string(done * 100 / total) + "% " + what : std::to_string(done >> 20U) + " MB " + what);
    }

    // Takes the line back, before shorter ones are written.
    void clear() {
        const std::lock_guard lock(writing_);
        if (std::exchange(written_, false))
            std::fputs("\x1b[K", to_);
    }

private:
    using clock = std::chrono::steady_clock;

    void show(const std::string& how_far) {
        const std::lock_guard lock(writing_);
        const auto now = clock::now();
        if (now < next_)
            return;
        next_ = now + std::chrono::milliseconds(500);
        written_ = true;
        std::fprintf(to_, "%s: %s\x1b[K\r", title_.c_str(), how_far.c_str());
        std::fflush(to_);
    }

    std::string title_;
    std::FILE* to_;
    bool shown_;
    std::atomic<unsigned long> files_ = 0;
    std::mutex writing_;
    bool written_ = false; // under writing_, as is next_
    clock::time_point next_;
};

} // namespace mta
