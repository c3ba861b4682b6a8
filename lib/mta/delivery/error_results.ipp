#include <mta/core/text.hpp>
#include <mta/delivery/error_results.hpp>
#include <mta/smtp/status.hpp>

namespace mta::delivery {

response error_results(std::string_view program, const request& from) {
    recipient_result one;
    std::string_view text = trim(from.nexthop);
    const std::size_t code = smtp::status_code_length(text);
    if (program == "discard") {
        one.outcome = outcome::delivered;
        one.dsn = "2.0.0";
        one.action = "delivered";
        one.reason = text;
    } else {
        // One program serves both; its service name decides. A code of the other class is not believed.
        const bool retry = program == "retry" || from.transport == "retry";
        const char wanted = retry ? '4' : '5';
        one.outcome = retry ? outcome::deferred : outcome::bounced;
        one.dsn = code != 0 && text.front() == wanted ? std::string(text.substr(0, code)) : wanted + std::string(".0.0");
        one.reason = trim(text.substr(code));
        if (one.reason.empty())
            one.reason = "Address is undeliverable";
    }
    response out;
    out.serial = from.serial;
    for (const auto& recipient : from.recipients) {
        one.offset = recipient.offset;
        out.recipients.push_back(one);
    }
    return out;
}

} // namespace mta::delivery
