// redis: tables, ours: a key's value (GET), field of a hash (HGET), or the members of a set or list, from Redis and
// servers that speak like it.
#include <mta/core/text.hpp>
#include <mta/table/answer_builder.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/host_settings.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/redis_protocol.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/settings_reader.hpp>
#include <mta/table/types.hpp>

namespace mta::table {

namespace {

struct redis_options {
    std::string user, password, database, command, hash;
    std::chrono::seconds timeout{};
};

constexpr std::size_t most_answer_bytes = 1U << 20U;

class redis_table final : public lookup_table {
public:
    redis_table(const std::string& name, const std::vector<std::string>& hosts, redis_options options,
                query_template key_format, answer_format answers, key_filter filter, pool_options pool)
        : lookup_table("redis:" + name, {.may_block = true}), options_(std::move(options)),
          key_format_(std::move(key_format)), answers_(std::move(answers)), filter_(std::move(filter)),
          servers_(hosts, [this](const server_address& to) { return connect(to); },
                   [this](const std::string& why) { current_log().warning(this->name() + ": " + why); }, pool) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto accepted = filter_.accepts(key, name());
        if (!accepted)
            return tl::make_unexpected(accepted.error());
        const auto own_key = key_format_.expand(key, [](std::string& out, std::string_view bytes) { out += bytes; });
        if (!*accepted || !own_key || !answers_.format.accepts_key(key))
            return std::nullopt;
        redis_answer answer;
        auto asked = servers_.ask([&](client_stream& server, std::string& why) {
            const auto ready = server.start_question(options_.timeout);
            const auto done = ready ? exchange(server, words(*own_key), answer) : ready;
            if (done && answer.refused.empty())
                return trial::done;
            why = done ? answer.refused : done.error().text();
            return done ? trial::refused : client_stream::after(done.error());
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        answer_builder builder(answers_, key);
        for (const auto& value : answer.values)
            if (auto added = builder.add(value); !added)
                return tl::make_unexpected(added.error());
        return std::move(builder).finish();
    }

private:
    std::vector<std::string_view> words(std::string_view key) const {
        if (!options_.hash.empty())
            return {"HGET", options_.hash, key};
        if (options_.command == "lrange")
            return {"LRANGE", key, "0", "-1"};
        return {options_.command == "smembers" ? std::string_view("SMEMBERS") : std::string_view("GET"), key};
    }

    static result<void> exchange(client_stream& server, const std::vector<std::string_view>& words,
                                 redis_answer& answer) {
        if (auto sent = server.send(redis_command(words)); !sent)
            return sent;
        auto read = read_redis_answer(server, most_answer_bytes);
        if (!read)
            return tl::make_unexpected(read.error());
        if (server.has_surplus())
            return fail(errc::malformed, "the server answers more than it was asked");
        answer = std::move(*read);
        return {};
    }

    result<std::unique_ptr<client_stream>> connect(const server_address& to) const {
        auto server = client_stream::open(to, "6379", options_.timeout);
        std::vector<std::vector<std::string_view>> greetings;
        if (!options_.user.empty())
            greetings.push_back({"AUTH", options_.user, options_.password});
        else if (!options_.password.empty())
            greetings.push_back({"AUTH", options_.password});
        if (!options_.database.empty())
            greetings.push_back({"SELECT", options_.database});
        for (const auto& greeting : greetings) {
            redis_answer answer;
            if (!server)
                break;
            const auto done = exchange(**server, greeting, answer);
            if (!done || !answer.refused.empty())
                return fail(errc::temporary, "connect to " + to.text + ": " +
                                                 (done ? answer.refused : done.error().text()));
        }
        return server;
    }

    redis_options options_;
    query_template key_format_;
    answer_format answers_;
    key_filter filter_;
    server_pool<client_stream> servers_;
};

} // namespace

result<table_ptr> open_redis(const std::string& name, const open_options&) {
    auto settings = read_settings(name);
    if (!settings)
        return tl::make_unexpected(settings.error());
    settings_reader read(*settings);
    redis_options out;
    out.user = read.text("user");
    out.password = read.text("password");
    out.database = read.text("dbname");
    out.command = lower(read.text("command", "get"));
    out.hash = read.text("hash");
    out.timeout = std::chrono::seconds(read.number("timeout", 5, 1, 3600));
    const auto format = read.text("key_format", "%s", 1);
    const auto hosts = read.hosts("localhost");
    const auto pool = read.pool();
    if (!read.trouble().empty())
        return fail(errc::malformed, read.trouble());
    if (out.command != "get" && out.command != "smembers" && out.command != "lrange")
        return fail(errc::malformed, settings->complaint("need get, smembers or lrange", "command", out.command));
    auto key_format = query_template::parse(format, "key", settings->name());
    if (!key_format)
        return tl::make_unexpected(key_format.error());
    auto answers = answer_format::read(*settings);
    if (!answers)
        return tl::make_unexpected(answers.error());
    auto filter = key_filter::open(*settings);
    if (!filter)
        return tl::make_unexpected(filter.error());
    return std::make_unique<redis_table>(name, hosts, std::move(out), std::move(*key_format), std::move(*answers),
                                         std::move(*filter), pool);
}

} // namespace mta::table
