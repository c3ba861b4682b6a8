// proxy: tables: another process, the proxymap service, holds the table and answers for it (proxy_protocol.hpp).
//
// Where no such service runs, the table is opened in this process, with this process's rights.
#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/proxy_protocol.hpp>
#include <mta/table/server_pool.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

// Bits of the service's flags: the table answers by pattern.
constexpr long long proxy_pattern_flag = 32;

class proxy_table final : public lookup_table {
public:
    proxy_table(std::string table, bool patterns, long long flags, const std::vector<std::string>& sockets,
                std::chrono::seconds limit)
        : lookup_table("proxy:" + table, {.patterns = patterns, .may_block = true}), table_(std::move(table)), flags_(flags),
          limit_(limit), servers_(sockets, [limit](const server_address& to) { return connect_proxy(to, limit); },
                                  [this](const std::string& why) { current_log().warning(this->name() + ": " + why); },
                                  {.order = server_order::as_written}) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (!is_sendable(key, name()))
            return std::nullopt;
        result<std::optional<std::string>> answer = fail(errc::temporary);
        const auto request = attr_writer().put("request", "lookup").put("table", table_)
                                 .put("flags", flags_).put("key", key).finish();
        auto asked = servers_.ask([&](client_stream& server, std::string& why) {
            const auto ready = server.start_question(limit_);
            const auto list = ready ? ask_proxy(server, request) : tl::make_unexpected(ready.error());
            if (!list) {
                why = list.error().text();
                return client_stream::after(list.error());
            }
            answer = read_answer(*list);
            return trial::done;
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return answer;
    }

    // The service that answers lookups walks through no table for the reference's clients.
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>&) override {
        return fail(errc::unsupported, "can't sequence maps via the proxy service");
    }

private:
    result<std::optional<std::string>> read_answer(const proxy_fields& list) const {
        switch (status_of(list)) {
        case proxy_status::found:
            return proxy_field(list, "value");
        case proxy_status::absent:
            return std::nullopt;
        case proxy_status::denied:
            return fail(errc::not_permitted, "the proxymap service is not configured for table \"" + table_ + "\"");
        default:
            return fail(errc::temporary, "Application error"); // the service's log knows more
        }
    }

    std::string table_;
    long long flags_;
    std::chrono::seconds limit_;
    server_pool<client_stream> servers_;
};

} // namespace

result<table_ptr> open_proxy(const std::string& name, const open_options& options) {
    const auto* cfg = current_configuration();
    if (cfg == nullptr)
        return open_table(name, options);
    const auto service = cfg->text("proxymap_service_name");
    const auto sockets = proxy_sockets(*cfg, service);
    const auto limit = cfg->time("ipc_timeout").value_or(std::chrono::seconds(3600));
    // A worker that opens its tables goes on without an answer, and asks again: so it waits for no service that is down.
    constexpr std::chrono::seconds opening_limit(10);
    auto stream = connect_proxy(server_address::parse(sockets.front()), std::min(limit, opening_limit));
    if (!stream && nobody_there(stream.error()))
        return open_table(name, options);
    if (!stream)
        return tl::make_unexpected(stream.error());
    const auto opened = open_in_proxy(**stream, service, name, options);
    if (!opened)
        return tl::make_unexpected(opened.error());
    const auto cannot_open = [&] {
        return fail(errc::temporary, "table proxy:" + name + ": query error: Application error");
    };
    if (status_of(*opened) != proxy_status::found)
        return cannot_open();
    // A service says of a table that it cannot open that it answers by pattern. Taken for the truth, that would go on when
    // the table is there again, and keep parts of addresses from being looked up.
    const auto flags = parse_integer(proxy_field(*opened, "flags")).value_or(0);
    const bool patterns = (flags & proxy_pattern_flag) != 0;
    auto out = std::make_unique<proxy_table>(name, patterns, proxy_request_flags(options), sockets, limit);
    if (patterns)
        if (const auto any = out->lookup("@"); !any)
            return cannot_open();
    return out;
}

} // namespace mta::table
