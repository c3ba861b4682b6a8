// proxy: tables: another process, the proxymap service, holds the table and answers for it. Attribute lists over a Unix
// socket: "request=open table=TYPE:NAME flags=N", then "request=lookup … key=KEY"; the answer has status and value.
//
// Where no such service runs, the table is opened in this process, with this process's rights.
#include <map>

#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/table/client_stream.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

enum proxy_status : int { proxy_found = 0, proxy_absent = 1, proxy_retry = 2, proxy_mistake = 3, proxy_denied = 4 };
// Bits of the service's flags: the table answers by pattern.
constexpr long long proxy_pattern_flag = 32;
// What the reference's clients ask lookups with: keys of UTF-8, shared locks.
constexpr long long proxy_lookup_flags = 524'353;
constexpr std::size_t proxy_answer_limit = 1U << 20U;

using proxy_fields = std::map<std::string, std::string>;

std::string field(const proxy_fields& of, const std::string& name) {
    const auto found = of.find(name);
    return found == of.end() ? std::string() : found->second;
}

long long number_field(const proxy_fields& of, const std::string& name, long long otherwise) {
    return parse_integer(field(of, name)).value_or(otherwise);
}

class proxy_table final : public lookup_table {
public:
    proxy_table(std::string table, bool patterns, const std::vector<std::string>& sockets, std::chrono::seconds limit)
        : lookup_table("proxy:" + table, {.patterns = patterns, .may_block = true}), table_(std::move(table)),
          limit_(limit), servers_(sockets, [limit](const server_address& to) { return connect(to, limit); },
                                  [this](const std::string& why) { current_log().warning(this->name() + ": " + why); },
                                  {.order = server_order::as_written}) {}

    // The service's greeting is read: what follows on the stream answers requests.
    static result<std::unique_ptr<client_stream>> connect(const server_address& to, std::chrono::seconds limit) {
        auto stream = client_stream::open(to, {}, limit);
        if (!stream)
            return stream;
        const auto greeting = read_list(**stream);
        if (!greeting)
            return fail(greeting.error().code, "proxymap service at " + to.host + ": " + greeting.error().text());
        if (field(*greeting, "protocol") != "proxymap_protocol")
            return fail(errc::malformed, "no proxymap service at " + to.host);
        return stream;
    }

    static result<proxy_fields> exchange(client_stream& server, const std::string& request) {
        if (auto sent = server.send(request); !sent)
            return tl::make_unexpected(sent.error());
        auto answer = read_list(server);
        if (answer && !answer->contains("status"))
            return fail(errc::malformed, "the proxymap service's answer is not understood");
        return answer;
    }

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (!is_sendable(key, name()))
            return std::nullopt;
        result<std::optional<std::string>> answer = fail(errc::temporary);
        const auto request = attr_writer().put("request", "lookup").put("table", table_)
                                 .put("flags", proxy_lookup_flags).put("key", key).finish();
        auto asked = servers_.ask([&](client_stream& server, std::string& why) {
            server.start_question(limit_);
            const auto list = exchange(server, request);
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

private:
    // One list, field by field: an empty value looks like the end of the list otherwise.
    static result<proxy_fields> read_list(client_stream& server) {
        constexpr std::string_view end("", 1);
        proxy_fields out;
        for (std::size_t total = 0; total < proxy_answer_limit;) {
            auto name = server.read_until(end, proxy_answer_limit);
            if (!name)
                return tl::make_unexpected(name.error());
            if (name->empty())
                return out;
            auto value = server.read_until(end, proxy_answer_limit);
            if (!value)
                return tl::make_unexpected(value.error());
            total += name->size() + value->size() + 2;
            out.emplace(std::move(*name), std::move(*value));
        }
        return fail(errc::too_large, "the proxymap service's answer is too long");
    }

    result<std::optional<std::string>> read_answer(const proxy_fields& list) const {
        switch (number_field(list, "status", proxy_retry)) {
        case proxy_found:
            return field(list, "value");
        case proxy_absent:
            return std::nullopt;
        case proxy_denied:
            return fail(errc::not_permitted, "the proxymap service is not configured for table \"" + table_ + "\"");
        default:
            return fail(errc::temporary, "the proxymap service has no answer");
        }
    }

    std::string table_;
    std::chrono::seconds limit_;
    server_pool<client_stream> servers_;
};

bool nobody_there(const mta::error& why) {
    return why.code.category() == std::generic_category() &&
           (why.code.value() == ENOENT || why.code.value() == ECONNREFUSED || why.code.value() == EACCES ||
            why.code.value() == ENOTDIR);
}

} // namespace

result<table_ptr> open_proxy(const std::string& name, const open_options& options) {
    const auto* cfg = current_configuration();
    if (cfg == nullptr)
        return open_table(name, options);
    // The second place is where the first one is after chroot(2) to the queue directory.
    const auto service = cfg->text("proxymap_service_name");
    const std::vector<std::string> sockets{"unix:" + cfg->text("queue_directory") + "/private/" + service,
                                           "unix:/private/" + service};
    const auto limit = cfg->time("ipc_timeout").value_or(std::chrono::seconds(3600));
    // A worker that opens its tables goes on without an answer, and asks again: so it waits for no service that is down.
    constexpr std::chrono::seconds opening_limit(10);
    auto stream = proxy_table::connect(server_address::parse(sockets.front()), std::min(limit, opening_limit));
    if (!stream && nobody_there(stream.error()))
        return open_table(name, options);
    if (!stream)
        return tl::make_unexpected(stream.error());
    const auto opened = proxy_table::exchange(
        **stream, attr_writer().put("request", "open").put("table", name).put("flags", 0).finish());
    if (!opened)
        return tl::make_unexpected(opened.error());
    const auto status = number_field(*opened, "status", proxy_retry);
    // Another service will have another configuration: a worker that starts while the old one still answers asks again.
    if (status == proxy_denied)
        return fail(errc::temporary, "proxymap service is not configured for table \"" + name + "\"");
    if (status != proxy_found)
        return fail(errc::temporary, "the proxymap service cannot open table \"" + name + "\"");
    return std::make_unique<proxy_table>(name, (number_field(*opened, "flags", 0) & proxy_pattern_flag) != 0, sockets, limit);
}

} // namespace mta::table
