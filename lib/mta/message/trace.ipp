// Bodies of trace.hpp.
#include <mta/message/trace.hpp>

#include <array>
#include <cstdio>

#include <mta/message/date.hpp>

namespace mta::message {

namespace {

template <class... Piece>
void append(std::string& out, const Piece&... pieces) {
    ((out += pieces), ...);
}

} // namespace

std::string received_by_smtp(const smtp_trace& about) {
    std::string out;
    out.reserve(256);
    const bool v6 = about.client_address.find(':') != std::string_view::npos;
    append(out, "Received: from ", about.helo.empty() ? about.client_name : about.helo, " (", about.client_name, " [",
           v6 ? "IPv6:" : "", about.client_address, "])\n\t");
    if (!about.tls.empty())
        append(out, about.tls, "\n\t");
    if (!about.authenticated_user.empty())
        append(out, "(Authenticated sender: ", trace_text(about.authenticated_user), ")\n\t");
    append(out, "by ", about.myhostname, " (", about.mail_name, ") with ", about.protocol, " id ", about.queue_id);
    if (about.recipient.empty())
        out += ";\n\t";
    else
        append(out, "\n\tfor <", about.recipient, ">; ");
    out += format_date(about.when);
    return out;
}

std::string received_by_pickup(std::string_view myhostname, std::string_view mail_name, unsigned long uid,
                               std::string_view queue_id, std::time_t when) {
    std::string out;
    append(out, "Received: by ", myhostname, " (", mail_name, ", from userid ", std::to_string(uid), ")\n\tid ", queue_id,
           "; ", format_date(when));
    return out;
}

std::string received_internal(std::string_view myhostname, std::string_view mail_name, std::string_view queue_id,
                              std::time_t when) {
    std::string out;
    append(out, "Received: by ", myhostname, " (", mail_name, ")\n\tid ", queue_id, "; ", format_date(when));
    return out;
}

std::string trace_text(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7F || c == '(' || c == ')' || c == '\\' || c == ';' || c == '"')
            c = '?';
    }
    return out;
}

std::string make_message_id(std::time_t when, std::string_view queue_id, std::string_view myhostname) {
    std::tm utc{};
    std::array<char, 64> stamp{};
    if (gmtime_r(&when, &utc) != nullptr)
        std::snprintf(stamp.data(), stamp.size(), "%04d%02d%02d%02d%02d%02d", utc.tm_year + 1900, utc.tm_mon + 1,
                      utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    std::string out;
    append(out, "<", stamp.data(), ".", queue_id, "@", myhostname, ">");
    return out;
}

} // namespace mta::message
