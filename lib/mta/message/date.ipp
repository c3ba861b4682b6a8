// Bodies of date.hpp.
#include <mta/message/date.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace mta::message {

namespace {
constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
} // namespace

std::string format_date(std::time_t when) {
    std::tm local{};
    if (localtime_r(&when, &local) == nullptr)
        return "Thu,  1 Jan 1970 00:00:00 +0000 (UTC)";
    const long minutes = local.tm_gmtoff / 60;
    const long distance = std::labs(minutes);
    std::array<char, 96> out{};
    // The day is padded with a blank, as mail systems have long written it (RFC 5322 allows the white space).
    const int size = std::snprintf(out.data(), out.size(), "%s, %2d %s %d %02d:%02d:%02d %c%02ld%02ld (%.32s)",
                                   days[static_cast<std::size_t>(local.tm_wday)], local.tm_mday,
                                   months[static_cast<std::size_t>(local.tm_mon)], local.tm_year + 1900, local.tm_hour,
                                   local.tm_min, local.tm_sec, minutes < 0 ? '-' : '+', distance / 60, distance % 60,
                                   local.tm_zone);
    return {out.data(), static_cast<std::size_t>(size)};
}

} // namespace mta::message
