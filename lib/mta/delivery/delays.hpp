// The delay=… and delays=a/b/c/d fields of a delivery's log line (log-delays).
//
// a: before the queue manager, b: in it, c: connection set-up, d: transmission. Times print with two significant
// digits and at most delay_logging_resolution_limit decimals, without trailing zeros: "0.02", "1.3", "47", "0".
// std only, no I/O.
#pragma once

#include <string>

#include <sys/time.h>

namespace mta::delivery {

inline constexpr int default_delay_decimals = 2;

// Microseconds from earlier to later; never negative, since clocks jump.
[[nodiscard]] inline long long microseconds_between(const timeval& earlier, const timeval& later) noexcept {
    const long long span = (later.tv_sec - earlier.tv_sec) * 1000000LL + (later.tv_usec - earlier.tv_usec);
    return span < 0 ? 0 : span;
}

[[nodiscard]] inline timeval now_timeval() noexcept {
    timeval now{};
    ::gettimeofday(&now, nullptr);
    return now;
}

// decimals is 0 to 6.
[[nodiscard]] inline std::string format_delay(long long microseconds, int decimals = default_delay_decimals) {
    constexpr long long second = 1000000;
    // The unit of the last digit printed: one hundredth of the leading digit's decade times ten.
    long long unit = second;
    for (int i = 0; i < decimals; ++i)
        unit /= 10;
    while (unit < second && microseconds >= unit * 100)
        unit *= 10;
    const long long rounded = (microseconds + unit / 2) / unit * unit;
    std::string out = std::to_string(rounded / second);
    long long rest = rounded % second;
    if (rest == 0)
        return out;
    out += '.';
    for (long long place = second / 10; rest > 0; place /= 10) {
        out += static_cast<char>('0' + rest / place);
        rest %= place;
    }
    return out;
}

struct delay_times {
    timeval arrival{};   // of the message
    timeval active{};    // when it entered the active queue
    timeval handed{};    // when the delivery agent got it
    timeval connected{}; // when the connection was ready; zero for an agent that makes none, or that failed to
    timeval done{};
    bool connects = false; // an agent that connects: without `connected` all its time was set-up
};

// "delay=0.06, delays=0.02/0/0.03/0.01"
[[nodiscard]] inline std::string format_delays(const delay_times& times, int decimals = default_delay_decimals) {
    const timeval& ready = times.connected.tv_sec != 0 ? times.connected : times.connects ? times.done : times.handed;
    const auto part = [decimals](const timeval& from, const timeval& to) {
        return format_delay(microseconds_between(from, to), decimals);
    };
    return "delay=" + part(times.arrival, times.done) + ", delays=" + part(times.arrival, times.active) + "/" +
           part(times.active, times.handed) + "/" + part(times.handed, ready) + "/" + part(ready, times.done);
}

} // namespace mta::delivery
