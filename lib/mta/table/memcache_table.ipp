// memcache: (memcache_table(5)): "get KEY", and "set" for what the backup table knew. An error of the server is never
// "not found", unless the backup table answers.
#include <thread>

#include <mta/core/text.hpp>
#include <mta/table/client_stream.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/host_settings.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/memcache_protocol.hpp>
#include <mta/table/query_template.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/settings_reader.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct memcache_options {
    std::string server, backup;
    long long flags = 0, ttl = 0;
    memcache_limits limits;
    long long tries = 0;
    std::chrono::seconds pause{}, timeout{};
};

class memcache_table final : public lookup_table {
public:
    memcache_table(const std::string& name, memcache_options options, query_template key_format, key_filter filter,
                   table_ptr backup)
        : lookup_table("memcache:" + name, {.may_block = true}), options_(std::move(options)),
          key_format_(std::move(key_format)), filter_(std::move(filter)), backup_(std::move(backup)),
          servers_({options_.server},
                   [this](const server_address& to) { return client_stream::open(to, "11211", options_.timeout); },
                   [this](const std::string& why) { current_log().warning(this->name() + ": " + why); }, {}) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto accepted = filter_.accepts(key, name());
        if (!accepted)
            return tl::make_unexpected(accepted.error());
        if (!*accepted)
            return std::nullopt;
        const auto wire_key = make_key(key);
        result<std::optional<std::string>> found = std::nullopt;
        if (wire_key)
            found = fetch(*wire_key);
        if ((found && *found) || !backup_)
            return found;
        auto behind = backup_->lookup(key);
        if (behind && *behind && wire_key)
            store(*wire_key, **behind);
        return behind;
    }

private:
    // nullopt: no key of this server's looks like that.
    std::optional<std::string> make_key(std::string_view key) const {
        auto out = key_format_.expand(key, [](std::string& text, std::string_view bytes) { text += bytes; });
        constexpr std::size_t longest = 250;
        const auto bad = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7F; };
        if (!out || out->empty() || out->size() > longest || std::ranges::any_of(*out, bad))
            return std::nullopt;
        return out;
    }

    // Runs exchange until it works, max_try times at most.
    template <class Exchange>
    result<void> try_often(Exchange exchange) {
        result<void> asked;
        for (long long i = 0; i < options_.tries; ++i) {
            if (i > 0)
                std::this_thread::sleep_for(options_.pause);
            bool connected = false;
            asked = servers_.ask([&](client_stream& server, std::string& why) {
                connected = true;
                const auto ready = server.start_question(options_.timeout);
                const result<void> done = ready ? exchange(server) : ready;
                if (done)
                    return trial::done;
                why = done.error().text();
                return client_stream::after(done.error());
            });
            if (asked || !connected)
                break;
        }
        return asked;
    }

    result<std::optional<std::string>> fetch(const std::string& key) {
        std::optional<std::string> value;
        auto asked = try_often([&](client_stream& server) -> result<void> {
            auto found = memcache_get(server, key, options_.limits);
            if (!found)
                return tl::make_unexpected(found.error());
            value = std::move(*found);
            return {};
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return value;
    }

    // What cannot be stored is looked up again.
    void store(const std::string& key, const std::string& value) {
        if (value.size() > options_.limits.data)
            return;
        const memcache_entry entry{key, value, options_.flags, options_.ttl};
        const auto asked = try_often([&](client_stream& server) { return memcache_set(server, entry, options_.limits); });
        if (!asked)
            current_log().warning("database " + name() + ": " + asked.error().text());
    }

    memcache_options options_;
    query_template key_format_;
    key_filter filter_;
    table_ptr backup_;
    server_pool<client_stream> servers_;
};

} // namespace

result<table_ptr> open_memcache(const std::string& name, const open_options& options) {
    auto settings = read_settings(name);
    if (!settings)
        return tl::make_unexpected(settings.error());
    settings_reader read(*settings);
    memcache_options out;
    out.server = read.text("memcache", "inet:localhost:11211");
    out.backup = read.text("backup");
    out.flags = read.number("flags", 0);
    out.ttl = read.number("ttl", 3600);
    out.limits.line = static_cast<std::size_t>(read.number("line_size_limit", 1024, 1));
    out.limits.data = static_cast<std::size_t>(read.number("data_size_limit", 10240, 1));
    out.tries = read.number("max_try", 2, 1);
    out.pause = std::chrono::seconds(read.number("retry_pause", 1, 1));
    out.timeout = std::chrono::seconds(read.number("timeout", 2, 1));
    const auto format = read.text("key_format", "%s", 1);
    if (!read.trouble().empty())
        return fail(errc::malformed, read.trouble());
    if (!out.server.starts_with("inet:") && !out.server.starts_with("unix:"))
        return fail(errc::malformed, settings->complaint("need inet:host:port or unix:pathname", "memcache", out.server));
    auto key_format = query_template::parse(format, "key", settings->name());
    if (!key_format)
        return tl::make_unexpected(key_format.error());
    auto filter = key_filter::open(*settings);
    if (!filter)
        return tl::make_unexpected(filter.error());
    table_ptr backup;
    if (!out.backup.empty()) {
        auto opened = open_table(out.backup, options);
        if (!opened)
            return opened;
        backup = std::move(*opened);
    }
    return std::make_unique<memcache_table>(name, std::move(out), std::move(*key_format), std::move(*filter),
                                            std::move(backup));
}

} // namespace mta::table
