// The log line of one recipient's result, as log readers know it:
//
//     3F2A: to=<bob@example.com>, orig_to=<b@example.com>, relay=local, delay=0.1, delays=0.05/0/0/0.05, dsn=2.0.0,
//     status=sent (delivered to maildir)
#pragma once

#include <string>
#include <string_view>

#include <mta/address/parts.hpp>
#include <mta/delivery/delays.hpp>
#include <mta/delivery/request.hpp>

namespace mta::delivery {

// What status= says.
[[nodiscard]] constexpr std::string_view status_word(outcome how, bool probe = false) noexcept {
    if (probe)
        return how == outcome::delivered ? "deliverable" : "undeliverable";
    switch (how) {
    case outcome::delivered:
        return "sent";
    case outcome::deferred:
        return "deferred";
    case outcome::bounced:
        break;
    }
    return "bounced";
}

// delays is "delay=…, delays=a/b/c/d". Addresses are in internal form. The caller's logger masks control bytes.
[[nodiscard]] inline std::string status_line(std::string_view queue_id, std::string_view address,
                                             std::string_view original, std::string_view relay,
                                             std::string_view delays, std::string_view dsn, std::string_view status,
                                             std::string_view reason) {
    std::string line(queue_id);
    std::string storage;
    line.append(": to=<").append(address::quoted_view(address, storage)).append(">");
    if (!original.empty() && original != address)
        line.append(", orig_to=<").append(address::quoted_view(original, storage)).append(">");
    line.append(", relay=").append(relay).append(", ").append(delays).append(", dsn=").append(dsn);
    line.append(", status=").append(status).append(" (").append(reason).append(")");
    return line;
}

// The delay fields of a result that needed no delivery agent.
[[nodiscard]] inline std::string delays_until_now(const request& about) {
    delay_times times;
    times.arrival = about.arrival;
    times.active = about.active;
    times.handed = about.sent;
    times.done = now_timeval();
    return format_delays(times);
}

} // namespace mta::delivery
