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
        table_answer answer = fail(errc::temporary, "no answer");
        auto asked = servers_.ask([&](client_stream& server, std::string& why) {
            server.start_question(limit_);
            answer = ask(server, key);
            // An error of the protocol leaves the stream at an unknown place; one that the server told does not.
            if (answer || answer_is_told_)
                return trial::done;
            why = answer.error().text();
            return client_stream::after(answer.error());
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return answer;
    }

protected:
    question_table(std::string name, table::traits traits, const std::string& host, std::chrono::milliseconds limit)
        : lookup_table(std::move(name), traits), limit_(limit),
          servers_({host}, [limit](const server_address& to) { return client_stream::open(to, {}, limit); },
                   [this](const std::string& why) { current_log().warning(this->name() + ": " + why); }, {}) {}

    virtual table_answer ask(client_stream& server, std::string_view key) = 0;
    // The answer was whole, whatever it says.
    table_answer told(table_answer answer) {
        answer_is_told_ = true;
        return answer;
    }
    void start() { answer_is_told_ = false; }

private:
    bool answer_is_told_ = false;
    std::chrono::milliseconds limit_;
    server_pool<client_stream> servers_;
};

constexpr std::chrono::seconds network_limit{100};
constexpr table::traits whole_keys{.patterns = true, .may_block = true};

class tcp_table final : public question_table {
public:
    explicit tcp_table(const std::string& name) : question_table("tcp:" + name, whole_keys, name, network_limit) {}

private:
    table_answer ask(client_stream& server, std::string_view key) override {
        start();
        if (auto sent = server.send("get " + percent_encode(key) + "\n"); !sent)
            return tl::make_unexpected(sent.error());
        const auto line = server.read_until("\n", tcp_reply_limit - 1);
        if (!line)
            return tl::make_unexpected(line.error());
        if (server.has_surplus())
            return fail(errc::temporary, "the server answers more than it was asked");
        return told(read_tcp_reply(*line));
    }
};

class socketmap_table final : public question_table {
public:
    socketmap_table(const std::string& name, const std::string& host, std::string map)
        : question_table("socketmap:" + name, whole_keys, host, network_limit), map_(std::move(map)) {}

private:
    table_answer ask(client_stream& server, std::string_view key) override {
        start();
        if (auto sent = server.send(netstring(map_ + " " + std::string(key))); !sent)
            return tl::make_unexpected(sent.error());
        const auto digits = server.read_until(":", 9);
        if (!digits)
            return tl::make_unexpected(digits.error());
        const auto size = netstring_size(*digits, socketmap_reply_limit);
        if (!size)
            return tl::make_unexpected(size.error());
        const auto bytes = server.read_bytes(*size + 1);
        if (!bytes)
            return tl::make_unexpected(bytes.error());
        if (bytes->back() != ',' || server.has_surplus())
            return fail(errc::malformed, "no netstring");
        return told(read_socketmap_reply(std::string_view(*bytes).substr(0, *size)));
    }
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
