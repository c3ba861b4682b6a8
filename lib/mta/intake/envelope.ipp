// The engine's first stage: envelope and recipients.
//
// The order of envelope records is that of the reference, since its tools and people's scripts read them
// (docs/queue-format.md; tests/interop/sendmail.py pins it).
#include <algorithm>
#include <array>
#include <cstdio>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/intake/engine.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/table/patience.hpp>

namespace mta::intake {

using queue::record_type;

void intake_message::engine::put_number(std::string_view name, long long value) {
    writer.put_attribute(name, std::to_string(value));
}

void intake_message::engine::write_client() {
    const auto& c = request.client;
    const std::string origin_text = c.name + '[' + c.address + ']';
    const std::array<std::pair<std::string_view, std::string_view>, 14> rows{{
        {"log_client_name", c.name},
        {"log_client_address", c.address},
        {"log_client_port", c.port},
        {"log_message_origin", origin_text},
        {"log_helo_name", c.helo},
        {"log_protocol_name", c.protocol},
        {"client_name", c.name},
        {"reverse_client_name", c.reverse_name},
        {"client_address", c.address},
        {"client_port", c.port},
        {"server_address", c.server_address},
        {"server_port", c.server_port},
        {"helo_name", c.helo},
        {"protocol_name", c.protocol},
    }};
    const auto given = [&](std::string_view name) {
        return std::any_of(request.attributes.begin(), request.attributes.end(),
                           [&](const auto& pair) { return pair.first == name; });
    };
    for (const auto& [name, value] : rows)
        if (!value.empty() && !given(name)) // XFORWARD speaks for another client
            writer.put_attribute(name, value);
    put_number("client_address_type", c.address_type);
    if (!c.sasl_method.empty())
        writer.put_attribute("sasl_method", c.sasl_method);
    if (!c.sasl_username.empty())
        writer.put_attribute("sasl_username", c.sasl_username);
    if (!c.sasl_sender.empty())
        writer.put_attribute("sasl_sender", c.sasl_sender);
}

void intake_message::engine::write_envelope() {
    const bool from_smtp = request.origin == origin::smtp;
    writer.put_size_placeholder();
    const auto& filter = request.content_filter;
    const bool filtered = !filter.empty();
    if (filtered && !from_smtp)
        writer.put(record_type::filter, filter);
    if (request.arrival.tv_sec == 0)
        request.arrival = writer.created();
    writer.put_time(request.arrival);
    put_number("create_time", writer.created().tv_sec);
    if (filtered && from_smtp)
        writer.put(record_type::filter, filter);
    if (from_smtp)
        writer.put_attribute("log_ident", writer.id());
    const auto context = std::string_view(local_context() ? "local" : "remote");
    if (from_smtp)
        writer.put_attribute("rewrite_context", context);
    if (!request.dsn_envelope_id.empty())
        writer.put_attribute("envelope_id", request.dsn_envelope_id);
    if (request.dsn_ret != 0)
        put_number("ret_flags", request.dsn_ret);
    if (request.origin == origin::notice) {
        writer.put_attribute("log_message_origin", "local");
        put_number("trace_flags", request.trace_flags);
    } else if (!from_smtp) {
        writer.put_attribute("rewrite_context", context);
    }
    if (request.origin == origin::local)
        writer.put(record_type::full_name, request.full_name);
    writer.put(record_type::sender, sender);
    if (!request.encoding.empty())
        writer.put_attribute("encoding", request.encoding);
    for (const auto& [name, value] : request.attributes)
        writer.put_attribute(name, value);
    if (from_smtp)
        write_client();
    if (request.trace_flags != 0 && request.origin != origin::notice)
        put_number("trace_flags", request.trace_flags);
    if (!request.verp.empty())
        writer.put(record_type::verp, request.verp);
    if (with.delay_warning > 0 && request.origin != origin::notice) {
        std::array<char, 24> due{};
        std::snprintf(due.data(), due.size(), "%15lld", static_cast<long long>(request.arrival.tv_sec) + with.delay_warning);
        writer.put(record_type::warn_time, due.data());
    }
    if (!is_ascii(sender))
        utf8 |= queue::sendopt_utf8_sender;
    if (request.smtputf8)
        utf8 |= queue::sendopt_smtputf8;
}

void intake_message::engine::fail_message(unsigned why) {
    status |= why;
}

void intake_message::engine::put_recipient(record_type type, const intake_recipient& to, std::string_view address,
                                           std::string_view dsn_original) {
    const std::string_view original = to.original.empty() ? std::string_view(to.address) : to.original;
    std::string key = std::to_string(to.notify);
    key.append(1, '\n').append(dsn_original).append(1, '\n').append(original).append(1, '\n').append(address);
    for (char& c : key)
        c = to_lower(c);
    if (seen_recipients.contains(key))
        return;
    if (with.duplicate_filter_limit == 0 || seen_recipients.size() < with.duplicate_filter_limit)
        seen_recipients.insert(std::move(key));
    if (to.notify != 0)
        put_number("notify_flags", to.notify);
    if (!dsn_original.empty())
        writer.put_attribute("dsn_orig_rcpt", dsn_original);
    writer.put(record_type::original_recipient, original);
    writer.put(type, address);
    ++recipients;
    notify |= to.notify;
}

result<void> intake_message::engine::add_recipient(const intake_recipient& to, bool automatic) {
    if (status != status_ok)
        return {};
    std::string address = with.addresses.complete(to.address.empty() ? with.empty_recipient : to.address);
    std::string dsn = to.dsn_original;
    if (dsn.empty() && !automatic) {
        // A submitter over SMTP said the address in its quoted form; local mail never had one.
        if (request.origin == origin::smtp)
            dsn = address::quote(to.original.empty() ? to.address : to.original);
        else
            dsn = address;
        dsn.insert(0, is_ascii(dsn) ? "rfc822;" : "utf-8;");
    }
    if (request.map_addresses && with.addresses.has_canonical(address_role::envelope_recipient)) {
        auto mapped = with.addresses.canonical(address, address_role::envelope_recipient);
        if (!mapped)
            return tl::make_unexpected(mapped.error());
        address = std::move(*mapped);
    }
    if (!is_ascii(address) && request.origin == origin::local && with.autodetect_local)
        utf8 |= queue::sendopt_smtputf8;
    if (!request.map_addresses) {
        put_recipient(record_type::recipient, to, address, dsn);
        return {};
    }
    auto expanded = with.addresses.expand(address);
    if (!expanded) {
        if (table::no_waiting::refused())
            return tl::make_unexpected(expanded.error());
        alias_trouble = expanded.error().code == errc::too_large;
        log.warning(writer.id() + ": " +
                         (alias_trouble ? expanded.error().detail
                                        : "virtual_alias_maps map lookup problem for " + address + ": " +
                                              expanded.error().text() + " -- message not accepted, try again later"));
        fail_message(status_temporary);
        return {};
    }
    for (const auto& one : *expanded)
        put_recipient(record_type::recipient, to, one, dsn);
    return {};
}

} // namespace mta::intake
