#include <mta/delivery/request.hpp>

namespace mta::delivery {
namespace {

std::string time_text(const timeval& time) {
    return std::to_string(time.tv_sec) + " " + std::to_string(time.tv_usec);
}

result<long long> number_of(std::string_view text) { return parse_integer(text); }

result<timeval> time_of(std::string_view text) {
    const auto words = split(text, " ");
    if (words.size() != 2)
        return fail(errc::malformed, "bad time in a delivery request");
    const auto seconds = number_of(words[0]);
    const auto micros = number_of(words[1]);
    if (!seconds || !micros)
        return fail(errc::malformed, "bad time in a delivery request");
    return timeval{static_cast<time_t>(*seconds), static_cast<suseconds_t>(*micros)};
}

// Reads the pairs of one frame and hands each to use, which answers whether it could take it.
template <class Use>
result<void> each_pair(std::string_view frame, Use use) {
    attr_reader reader(frame);
    for (;;) {
        auto pair = reader.next();
        if (!pair)
            return tl::make_unexpected(pair.error());
        if (!*pair)
            return {};
        if (!use((*pair)->first, (*pair)->second))
            return fail(errc::malformed, "bad value of \"" + std::string((*pair)->first) + "\" in a delivery frame");
    }
}

template <class Number>
bool store(Number& into, std::string_view text) {
    const auto value = number_of(text);
    if (value)
        into = static_cast<Number>(*value);
    return value.has_value();
}

bool store(timeval& into, std::string_view text) {
    const auto value = time_of(text);
    if (value)
        into = *value;
    return value.has_value();
}

bool store(std::string& into, std::string_view text) {
    into = text;
    return true;
}

bool store_recipient(request& to, std::string_view name, std::string_view text) {
    if (name == "offset") {
        to.recipients.emplace_back();
        return store(to.recipients.back().offset, text);
    }
    if (to.recipients.empty())
        return false;
    auto& recipient = to.recipients.back();
    if (name == "recipient")
        return store(recipient.address, text);
    if (name == "original")
        return store(recipient.original, text);
    if (name == "dsn_orig_rcpt")
        return store(recipient.dsn_original, text);
    if (name == "notify_flags")
        return store(recipient.notify, text);
    return false;
}

bool store_field(request& to, std::string_view name, std::string_view text) {
    if (name == "serial")
        return store(to.serial, text);
    if (name == "queue_id")
        return store(to.queue_id, text);
    if (name == "queue_name")
        return store(to.queue_name, text);
    if (name == "transport")
        return store(to.transport, text);
    if (name == "nexthop")
        return store(to.nexthop, text);
    if (name == "sender")
        return store(to.sender, text);
    if (name == "encoding")
        return store(to.encoding, text);
    if (name == "envelope_id")
        return store(to.dsn_envid, text);
    if (name == "ret_flags")
        return store(to.dsn_ret, text);
    if (name == "size")
        return store(to.message_size, text);
    if (name == "data_offset")
        return store(to.data_offset, text);
    if (name == "arrival")
        return store(to.arrival, text);
    if (name == "active")
        return store(to.active, text);
    if (name == "sent")
        return store(to.sent, text);
    if (name == "reuse")
        return to.reuse = text == "1", true;
    if (name == "smtputf8")
        return to.smtputf8 = text == "1", true;
    if (name == "probe")
        return to.probe = text == "1", true;
    if (name == "rewrite_context")
        return store(to.rewrite_context, text);
    if (name.starts_with("client:")) {
        to.client.emplace_back(name.substr(7), text);
        return true;
    }
    return store_recipient(to, name, text);
}

bool store_field(response& to, std::string_view name, std::string_view text) {
    if (name == "serial")
        return store(to.serial, text);
    if (name == "dead_destination")
        return store(to.dead_destination, text);
    if (name == "offset" || name == "part_of") {
        if (name == "offset" && !to.parts.empty())
            return false; // parts come last
        auto& begun = (name == "offset" ? to.recipients : to.parts).emplace_back();
        return store(begun.offset, text);
    }
    if (to.recipients.empty() && to.parts.empty())
        return false;
    auto& one = to.parts.empty() ? to.recipients.back() : to.parts.back();
    if (name == "no_original")
        return one.has_original = text != "1", true;
    if (name == "outcome") {
        int value = 0;
        if (!store(value, text) || value < 0 || value > 2)
            return false;
        one.outcome = static_cast<outcome>(value);
        return true;
    }
    struct row {
        std::string_view name;
        std::string recipient_result::*member;
    };
    static constexpr row rows[] = {
        {"status", &recipient_result::dsn},        {"action", &recipient_result::action},
        {"reason", &recipient_result::reason},     {"diag_type", &recipient_result::diag_type},
        {"diag_text", &recipient_result::diag_text}, {"mta_type", &recipient_result::mta_type},
        {"mta_mname", &recipient_result::mta_name}, {"relay", &recipient_result::relay},
        {"final_address", &recipient_result::final_address},
    };
    for (const auto& r : rows)
        if (r.name == name)
            return store(one.*r.member, text);
    return false;
}

void put_if(attr_writer& out, std::string_view name, std::string_view value) {
    if (!value.empty())
        out.put(name, value);
}

} // namespace

std::string request::encode() const {
    attr_writer out;
    out.put("serial", static_cast<long long>(serial)).put("queue_id", queue_id).put("queue_name", queue_name);
    out.put("transport", transport).put("nexthop", nexthop).put("sender", sender);
    put_if(out, "encoding", encoding);
    put_if(out, "envelope_id", dsn_envid);
    if (dsn_ret != 0)
        out.put("ret_flags", dsn_ret);
    out.put("size", message_size).put("data_offset", data_offset);
    out.put("arrival", time_text(arrival)).put("active", time_text(active)).put("sent", time_text(sent));
    if (reuse)
        out.put("reuse", "1");
    if (smtputf8)
        out.put("smtputf8", "1");
    if (probe)
        out.put("probe", "1");
    put_if(out, "rewrite_context", rewrite_context);
    for (const auto& [name, value] : client)
        out.put("client:" + name, value);
    for (const auto& recipient : recipients) {
        out.put("offset", recipient.offset).put("recipient", recipient.address);
        put_if(out, "original", recipient.original);
        put_if(out, "dsn_orig_rcpt", recipient.dsn_original);
        if (recipient.notify != 0)
            out.put("notify_flags", recipient.notify);
    }
    return out.finish();
}

result<request> request::parse(std::string_view frame) {
    request out;
    if (auto read = each_pair(frame, [&](auto name, auto text) { return store_field(out, name, text); }); !read)
        return tl::make_unexpected(read.error());
    return out;
}

namespace {

void put_result(attr_writer& out, const recipient_result& one) {
    out.put("outcome", static_cast<long long>(one.outcome));
    put_if(out, "status", one.dsn);
    put_if(out, "action", one.action);
    put_if(out, "reason", one.reason);
    put_if(out, "diag_type", one.diag_type);
    put_if(out, "diag_text", one.diag_text);
    put_if(out, "mta_type", one.mta_type);
    put_if(out, "mta_mname", one.mta_name);
    put_if(out, "relay", one.relay);
    put_if(out, "final_address", one.final_address);
    if (!one.has_original)
        out.put("no_original", "1");
}

} // namespace

std::string response::encode() const {
    attr_writer out;
    out.put("serial", static_cast<long long>(serial));
    put_if(out, "dead_destination", dead_destination);
    for (const auto& one : recipients)
        put_result(out.put("offset", one.offset), one);
    for (const auto& one : parts)
        put_result(out.put("part_of", one.offset), one);
    return out.finish();
}

result<response> response::parse(std::string_view frame) {
    response out;
    if (auto read = each_pair(frame, [&](auto name, auto text) { return store_field(out, name, text); }); !read)
        return tl::make_unexpected(read.error());
    return out;
}

} // namespace mta::delivery
