#include <mta/core/text.hpp>
#include <mta/table/client_stream.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/network_protocols.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

using table_answer = result<std::optional<std::string>>;

// A table that asks one server one question a key.
class question_table : public lookup_table {
public:
    table_answer lookup(std::string_view key) final {
        if (!is_sendable(key, name()))
            return std::nullopt;
        std::string answer;
        auto asked = servers_.ask([&](client_stream& server, std::string& why) {
            const auto ready = server.start_question(limit_);
            auto told = ready ? ask(server, key) : tl::make_unexpected(ready.error());
            if (told) {
                answer = std::move(*told);
                return trial::done;
            }
            // An error of the protocol leaves the stream at an unknown place; one that the server tells does not.
            why = told.error().text();
            return client_stream::after(told.error());
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return read(answer);
    }

protected:
    question_table(std::string name, table::traits traits, const std::string& host, std::chrono::milliseconds limit)
        : lookup_table(std::move(name), traits), limit_(limit),
          servers_({host}, [limit](const server_address& to) { return client_stream::open(to, {}, limit); },
                   [this](const std::string& why) { current_log().warning(this->name() + ": " + why); }, {}) {}

    // What the server says, whole, and what it means.
    virtual result<std::string> ask(client_stream& server, std::string_view key) = 0;
    virtual table_answer read(std::string_view answer) = 0;

private:
    std::chrono::milliseconds limit_;
    server_pool<client_stream> servers_;
};

constexpr std::chrono::seconds network_limit{100};
constexpr table::traits whole_keys{.patterns = true, .may_block = true};

class tcp_table final : public question_table {
public:
    explicit tcp_table(const std::string& name) : question_table("tcp:" + name, whole_keys, name, network_limit) {}

private:
    result<std::string> ask(client_stream& server, std::string_view key) override { return ask_tcp(server, key); }
    table_answer read(std::string_view answer) override { return read_tcp_reply(answer); }
};

class socketmap_table final : public question_table {
public:
    socketmap_table(const std::string& name, const std::string& host, std::string map)
        : question_table("socketmap:" + name, whole_keys, host, network_limit), map_(std::move(map)) {}

private:
    result<std::string> ask(client_stream& server, std::string_view key) override { return ask_socketmap(server, map_, key); }
    table_answer read(std::string_view answer) override { return read_socketmap_reply(answer); }

    std::string map_;
};

} // namespace

result<table_ptr> open_tcp(const std::string& name, const open_options&) {
    const auto where = server_address::parse(name);
    if (where.what == server_address::kind::network && where.port.empty())
        return fail(errc::malformed, "tcp:" + name + ": expected tcp:host:port");
    return std::make_unique<tcp_table>(name);
}

result<table_ptr> open_socketmap(const std::string& name, const open_options&) {
    const auto colon = name.rfind(':');
    const auto host = colon == std::string::npos ? std::string() : name.substr(0, colon);
    const auto where = server_address::parse(host);
    const bool local = where.what == server_address::kind::local && !where.host.empty();
    const bool network = host.starts_with("inet:") && !where.host.empty() && !where.port.empty();
    if (!(local || network))
        return fail(errc::malformed, "bad socketmap syntax: socketmap:" + name +
                                         ": expected inet:host:port:name or unix:pathname:name");
    return std::make_unique<socketmap_table>(name, host, name.substr(colon + 1));
}

} // namespace mta::table
