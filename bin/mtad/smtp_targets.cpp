#include <algorithm>
#include <random>

#include <netdb.h>

#include <mta/config/networks.hpp>
#include <mta/core/text.hpp>

#include "smtp_targets.hpp"

namespace mta::daemon {
namespace {

using net::awaitable;
using net::dns_outcome;
using std::chrono::milliseconds;

struct nexthop_parts {
    std::string host;
    std::string port;
    bool direct = false; // brackets: no MX lookup
};

nexthop_parts split_nexthop(const std::string& nexthop, const std::string& default_port) {
    nexthop_parts parts;
    parts.port = default_port;
    std::string_view text = nexthop;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        parts.direct = true;
        parts.host = text.substr(1, end == std::string_view::npos ? end : end - 1);
        text.remove_prefix(std::min(end == std::string_view::npos ? text.size() : end + 1, text.size()));
        if (text.starts_with(':') && text.size() > 1)
            parts.port = text.substr(1);
        return parts;
    }
    const auto colon = text.find(':');
    // More than one colon is an IPv6 address without brackets.
    if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
        parts.host = text.substr(0, colon);
        if (colon + 1 < text.size())
            parts.port = text.substr(colon + 1);
    } else {
        parts.host = text;
    }
    return parts;
}

std::optional<std::uint16_t> port_number(const std::string& port) {
    if (const auto number = parse_integer(port))
        return *number > 0 && *number < 65536 ? std::optional(static_cast<std::uint16_t>(*number)) : std::nullopt;
    if (port == "smtp")
        return std::uint16_t{25};
    if (port == "submission")
        return std::uint16_t{587};
    if (const servent* known = ::getservbyname(port.c_str(), "tcp"))
        return ntohs(static_cast<std::uint16_t>(known->s_port));
    return std::nullopt;
}

bool wanted(const smtp_settings& settings, const net::ip_address& address) {
    return address.is_v6() ? settings.use_v6 : settings.use_v4;
}

bool is_self(const smtp_settings& settings, const net::ip_address& address) {
    return std::find(settings.own_addresses.begin(), settings.own_addresses.end(), address) !=
           settings.own_addresses.end();
}

// The words of the reference, which log readers and bounce processors match.
void set_failure(smtp_target_list& list, bool hard, std::string dsn, std::string reason) {
    list.hard = hard;
    list.dsn = std::move(dsn);
    list.reason = std::move(reason);
}

void not_found(smtp_target_list& list, const smtp_settings& settings, const std::string& name, dns_outcome outcome) {
    set_failure(list, true, "5.4.4",
                "Host or domain name not found. Name service error for name=" + name + " type=" +
                    (settings.use_v6 ? "AAAA" : "A") +
                    (outcome == dns_outcome::no_name ? ": Host not found"
                                                     : ": Host found but no data record of requested type"));
}

void try_again(smtp_target_list& list, const std::string& name, std::string_view type) {
    set_failure(list, false, "4.4.3",
                "Host or domain name not found. Name service error for name=" + name + " type=" + std::string(type) +
                    ": Host not found, try again");
}

// Adds the addresses of one host; on failure says why in list.
awaitable<bool> add_host(net::resolver& dns, const smtp_settings& settings, smtp_target_list& list, std::string host,
                         std::uint16_t port, int preference) {
    if (const auto literal = net::ip_address::parse(host)) {
        list.targets.push_back({host, *literal, port, preference});
        co_return true;
    }
    const auto family = settings.use_v4 && settings.use_v6 ? net::address_family::any
                        : settings.use_v6                  ? net::address_family::v6
                                                           : net::address_family::v4;
    const auto answer = co_await dns.addresses(host, family);
    if (!answer) {
        try_again(list, host, settings.use_v6 ? "AAAA" : "A");
        co_return false;
    }
    if (answer->outcome != dns_outcome::found) {
        not_found(list, settings, host, answer->outcome);
        co_return false;
    }
    for (const auto& address : answer->addresses)
        if (wanted(settings, address))
            list.targets.push_back({host, address, port, preference});
    co_return true;
}

void order_targets(const smtp_settings& settings, std::vector<smtp_target>& targets) {
    static std::mt19937 random{std::random_device{}()};
    if (settings.randomize)
        std::shuffle(targets.begin(), targets.end(), random);
    const auto family_rank = [&](const smtp_target& t) {
        if (settings.address_preference == "ipv6")
            return t.address.is_v6() ? 0 : 1;
        if (settings.address_preference == "ipv4")
            return t.address.is_v6() ? 1 : 0;
        return 0;
    };
    std::stable_sort(targets.begin(), targets.end(), [&](const smtp_target& a, const smtp_target& b) {
        return a.preference != b.preference ? a.preference < b.preference : family_rank(a) < family_rank(b);
    });
}

// Leaves out this system itself and every host that is no better a place for the mail.
void remove_self(const smtp_settings& settings, smtp_target_list& list, const std::string& name, int best_known) {
    int own = -1;
    for (const auto& target : list.targets)
        if (is_self(settings, target.address) && (own < 0 || target.preference < own))
            own = target.preference;
    if (own < 0)
        return;
    std::erase_if(list.targets, [own](const smtp_target& t) { return t.preference >= own; });
    if (!list.targets.empty())
        return;
    if (own > best_known)
        set_failure(list, false, "4.4.4", "unable to find primary relay for " + name);
    else
        set_failure(list, true, "5.4.6", "mail for " + name + " loops back to myself");
}

awaitable<void> add_domain(net::resolver& dns, const smtp_settings& settings, smtp_target_list& list, std::string name,
                           std::uint16_t port) {
    const auto answer = co_await dns.mx(name);
    if (!answer && !settings.ignore_mx_errors) {
        try_again(list, name, "MX");
        co_return;
    }
    if (!answer || answer->outcome != dns_outcome::found) {
        (void)co_await add_host(dns, settings, list, name, port, 0);
        if (list.loop_detection)
            remove_self(settings, list, name, 0);
        order_targets(settings, list.targets);
        co_return;
    }
    if (answer->null_mx()) {
        set_failure(list, true, "5.1.0", "Domain " + name + " does not accept mail (nullMX)");
        co_return;
    }
    bool temporary = false;
    for (const auto& mx : answer->records) {
        if (mx.host.empty())
            continue;
        const bool added = co_await add_host(dns, settings, list, mx.host, port, mx.preference);
        temporary = temporary || (!added && !list.hard);
        // Past twice what is tried, more hosts only cost questions.
        if (list.targets.size() >= settings.address_limit * 2 && settings.address_limit > 0)
            break;
    }
    if (list.targets.empty()) {
        list.warning = "no MX host for " + name + " has a valid address record";
        // A host that could not be looked up may be the one that works.
        if (list.hard && (temporary || settings.defer_without_mx_address)) {
            list.hard = false;
            list.dsn.front() = '4';
        }
        co_return;
    }
    if (list.loop_detection)
        remove_self(settings, list, name, answer->records.front().preference);
    order_targets(settings, list.targets);
}

} // namespace

awaitable<smtp_target_list> find_targets(net::resolver& dns, const smtp_settings& settings, std::string nexthop) {
    smtp_target_list list;
    auto parts = split_nexthop(nexthop, settings.default_port);
    const auto port = port_number(parts.port);
    if (!port) {
        set_failure(list, false, "4.3.5", "unknown service: " + parts.port + "/tcp");
        co_return list;
    }
    if (parts.host.empty()) {
        set_failure(list, false, "4.3.5", "bad destination: " + nexthop);
        co_return list;
    }
    list.loop_detection = *port == 25;
    if (parts.direct || net::ip_address::parse(parts.host)) {
        (void)co_await add_host(dns, settings, list, parts.host, *port, 0);
        if (list.loop_detection)
            remove_self(settings, list, parts.host, 0);
        order_targets(settings, list.targets);
    } else {
        co_await add_domain(dns, settings, list, parts.host, *port);
    }
    if (settings.address_limit > 0 && list.targets.size() > settings.address_limit)
        list.targets.resize(settings.address_limit);
    if (list.targets.empty() && list.reason.empty())
        set_failure(list, false, "4.4.4", "no usable address for " + parts.host);
    co_return list;
}

result<smtp_settings> read_smtp_settings(const config::configuration& cfg) {
    smtp_settings out;
    std::string wrong;
    const auto number = [&](std::string_view name) -> long long {
        const auto value = cfg.number(name);
        if (!value)
            wrong = value.error().text();
        return value.value_or(0);
    };
    const auto flag = [&](std::string_view name) {
        const auto value = cfg.yes_no(name);
        if (!value)
            wrong = value.error().text();
        return value.value_or(false);
    };
    const auto time = [&](std::string_view name) {
        const auto value = cfg.time(name);
        if (!value)
            wrong = value.error().text();
        return std::chrono::duration_cast<milliseconds>(value.value_or(std::chrono::seconds(0)));
    };
    const auto words = [&](std::string_view name) {
        const std::string text = cfg.text(name);
        std::vector<std::string> list;
        for (const auto word : split(text, ", \t\r\n"))
            list.emplace_back(word);
        return list;
    };
    const auto has = [](const std::vector<std::string>& list, std::string_view word) {
        return std::any_of(list.begin(), list.end(), [&](const std::string& w) { return iequals(w, word); });
    };
    out.helo_name = cfg.text("smtp_helo_name");
    out.my_hostname = cfg.text("myhostname");
    out.default_port = cfg.text("smtp_tcp_port");
    out.tls_level = lower(cfg.text("smtp_tls_security_level"));
    if (out.tls_level.empty() && flag("smtp_enforce_tls"))
        out.tls_level = "encrypt";
    out.address_preference = cfg.text("smtp_address_preference");
    out.fallback_relays = words("smtp_fallback_relay");
    out.cached_destinations = words("smtp_connection_cache_destinations");
    out.discard_keywords = words("smtp_discard_ehlo_keywords");
    const auto protocols = words("inet_protocols");
    out.use_v4 = has(protocols, "all") || has(protocols, "ipv4");
    out.use_v6 = has(protocols, "all") || has(protocols, "ipv6");
    const auto lookup = words("smtp_host_lookup");
    out.use_hosts_file = has(lookup, "native");
    out.randomize = flag("smtp_randomize_addresses");
    out.defer_without_mx_address = flag("smtp_defer_if_no_mx_address_found");
    out.ignore_mx_errors = flag("ignore_mx_lookup_error");
    out.skip_5xx_greeting = flag("smtp_skip_5xx_greeting");
    out.never_ehlo = flag("smtp_never_send_ehlo");
    out.limit_whole_reply = flag("smtp_per_request_deadline");
    out.cache_on_demand = flag("smtp_connection_cache_on_demand");
    out.address_limit = static_cast<std::size_t>(number("smtp_mx_address_limit"));
    out.session_limit = static_cast<std::size_t>(number("smtp_mx_session_limit"));
    out.line_limit = static_cast<std::size_t>(number("smtp_line_length_limit"));
    out.delay_decimals = static_cast<int>(number("delay_logging_resolution_limit"));
    out.reuse_count_limit = number("smtp_connection_reuse_count_limit");
    out.connect = time("smtp_connect_timeout");
    out.helo = time("smtp_helo_timeout");
    out.mail = time("smtp_mail_timeout");
    out.rcpt = time("smtp_rcpt_timeout");
    out.data_init = time("smtp_data_init_timeout");
    out.data_transfer = time("smtp_data_xfer_timeout");
    out.data_done = time("smtp_data_done_timeout");
    out.quit = time("smtp_quit_timeout");
    out.rset = time("smtp_rset_timeout");
    out.cache_time = time("smtp_connection_cache_time_limit");
    out.reuse_time = time("smtp_connection_reuse_time_limit");
    if (!wrong.empty())
        return fail(errc::malformed, wrong);
    for (const auto& [name, slot] : {std::pair{"smtp_bind_address", &out.bind4}, {"smtp_bind_address6", &out.bind6}}) {
        const std::string text = cfg.text(name);
        if (text.empty())
            continue;
        *slot = net::ip_address::parse(text);
        if (!*slot)
            return fail(errc::malformed, std::string("bad ") + name + " parameter value: " + text);
    }
    auto servers = net::parse_dns_servers(cfg.text("mtad_dns_servers"));
    if (!servers)
        return fail(errc::malformed, "bad mtad_dns_servers parameter value: " + servers.error().text());
    out.dns_servers = std::move(*servers);

    const auto interfaces = words("inet_interfaces");
    const bool everywhere = has(interfaces, "all");
    if (const auto present = config::interface_addresses(protocols); present && everywhere)
        for (const auto& one : *present)
            if (const auto address = net::ip_address::parse(one.address))
                out.own_addresses.push_back(*address);
    auto named = words("proxy_interfaces");
    if (!everywhere)
        named.insert(named.end(), interfaces.begin(), interfaces.end());
    for (auto& one : named) {
        if (iequals(one, "loopback-only") || iequals(one, "localhost")) {
            out.own_addresses.push_back(*net::ip_address::parse("127.0.0.1"));
            out.own_addresses.push_back(*net::ip_address::parse("::1"));
        } else if (const auto address = net::ip_address::parse(trim(one).substr(0))) {
            out.own_addresses.push_back(*address);
        }
    }
    return out;
}

} // namespace mta::daemon
