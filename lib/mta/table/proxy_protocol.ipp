#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/table/proxy_protocol.hpp>

namespace mta::table {
namespace {

constexpr std::size_t proxy_answer_limit = 1U << 20U;

// More bits of a request's flags, which nobody here reads.
constexpr long long with_shared_locks = 65;
constexpr long long folded_keys = 16'384;

// One list, field by field: an empty value looks like the end of the list otherwise.
result<proxy_fields> read_proxy_list(client_stream& server) {
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

} // namespace

std::string proxy_field(const proxy_fields& of, const std::string& name) {
    const auto found = of.find(name);
    return found == of.end() ? std::string() : found->second;
}

proxy_status status_of(const proxy_fields& of) {
    const auto number = parse_integer(proxy_field(of, "status")).value_or(-1);
    return number < 0 || number > static_cast<int>(proxy_status::misconfigured) ? proxy_status::retry
                                                                         : static_cast<proxy_status>(number);
}

long long proxy_open_flags(const open_options& options) {
    return options.style == terminator::without ? proxy_flag::keys_without_nul
           : options.style == terminator::with  ? proxy_flag::keys_with_nul
                                                : 0;
}

long long proxy_request_flags(const open_options& options) {
    return with_shared_locks + proxy_open_flags(options) + (options.utf8 ? proxy_flag::keys_in_utf8 : folded_keys);
}

std::vector<std::string> proxy_sockets(const config::configuration& cfg, const std::string& service) {
    return {"unix:" + cfg.text("queue_directory") + "/private/" + service, "unix:/private/" + service};
}

result<std::unique_ptr<client_stream>> connect_proxy(const server_address& to, std::chrono::seconds limit) {
    auto stream = client_stream::open(to, {}, limit);
    if (!stream)
        return stream;
    const auto greeting = read_proxy_list(**stream);
    if (!greeting)
        return fail(greeting.error().code, "proxymap service at " + to.host + ": " + greeting.error().text());
    if (proxy_field(*greeting, "protocol") != "proxymap_protocol")
        return fail(errc::malformed, "no proxymap service at " + to.host);
    return stream;
}

result<proxy_fields> ask_proxy(client_stream& server, const std::string& request) {
    if (auto sent = server.send(request); !sent)
        return tl::make_unexpected(sent.error());
    auto answer = read_proxy_list(server);
    if (answer && !answer->contains("status"))
        return fail(errc::malformed, "the proxymap service's answer is not understood");
    return answer;
}

result<proxy_fields> open_in_proxy(client_stream& server, const std::string& service, const std::string& table,
                                   const open_options& options) {
    auto opened = ask_proxy(server, attr_writer().put("request", "open").put("table", table)
                                        .put("flags", proxy_open_flags(options)).finish());
    // Another service will have another configuration: a worker that starts while the old one still answers asks again.
    if (opened && status_of(*opened) == proxy_status::denied)
        return fail(errc::temporary, service + " service is not configured for table \"" + table + "\"");
    return opened;
}

bool nobody_there(const mta::error& why) noexcept {
    return why.code.category() == std::generic_category() &&
           (why.code.value() == ENOENT || why.code.value() == ECONNREFUSED || why.code.value() == EACCES ||
            why.code.value() == ENOTDIR);
}

} // namespace mta::table
