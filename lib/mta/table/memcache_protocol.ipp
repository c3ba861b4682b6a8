#include <mta/core/text.hpp>
#include <mta/table/memcache_protocol.hpp>

namespace mta::table {
namespace {

failure not_memcache(std::string_view line) {
    return fail(errc::malformed, "the server's answer is not understood: \"" + printable(line.substr(0, 100)) + "\"");
}

result<void> no_more_from(const client_stream& server) {
    if (server.has_surplus())
        return fail(errc::malformed, "the server answers more than it was asked");
    return {};
}

// line is "VALUE KEY FLAGS SIZE", perhaps with more words after it.
result<std::string> read_value(client_stream& server, std::string_view line, std::string_view key, std::size_t most) {
    const auto words = split(line, " ");
    if (words.size() < 4 || words[0] != "VALUE" || words[1] != key)
        return not_memcache(line);
    const auto size = parse_integer(words[3]);
    if (!size || *size < 0)
        return not_memcache(line);
    if (static_cast<std::size_t>(*size) > most)
        return fail(errc::too_large, "the value is longer than data_size_limit = " + std::to_string(most));
    auto bytes = server.read_bytes(static_cast<std::size_t>(*size));
    if (!bytes)
        return bytes;
    constexpr std::string_view ending = "\r\nEND\r\n";
    const auto end = server.read_bytes(ending.size());
    if (!end)
        return end;
    return *end == ending ? bytes : not_memcache(*end);
}

} // namespace

result<std::optional<std::string>> memcache_get(client_stream& server, const std::string& key, memcache_limits limits) {
    if (auto sent = server.send("get " + key + "\r\n"); !sent)
        return tl::make_unexpected(sent.error());
    const auto line = server.read_until("\r\n", limits.line);
    if (!line)
        return tl::make_unexpected(line.error());
    std::optional<std::string> out;
    if (*line != "END") {
        auto value = read_value(server, *line, key, limits.data);
        if (!value)
            return tl::make_unexpected(value.error());
        out = std::move(*value);
    }
    if (auto whole = no_more_from(server); !whole)
        return tl::make_unexpected(whole.error());
    return out;
}

result<void> memcache_set(client_stream& server, const memcache_entry& entry, memcache_limits limits) {
    const auto command = "set " + entry.key + " " + std::to_string(entry.flags) + " " + std::to_string(entry.ttl) + " " +
                         std::to_string(entry.value.size()) + "\r\n" + entry.value + "\r\n";
    if (auto sent = server.send(command); !sent)
        return sent;
    const auto line = server.read_until("\r\n", limits.line);
    if (!line)
        return tl::make_unexpected(line.error());
    if (*line != "STORED")
        return fail(errc::temporary, "update failed: " + printable(*line));
    return no_more_from(server);
}

} // namespace mta::table
