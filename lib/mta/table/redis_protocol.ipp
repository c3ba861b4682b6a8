#include <mta/core/text.hpp>
#include <mta/table/redis_protocol.hpp>

namespace mta::table {

std::string redis_command(const std::vector<std::string_view>& words) {
    std::string out = "*" + std::to_string(words.size()) + "\r\n";
    for (const auto word : words)
        out += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
    return out;
}

namespace {

constexpr std::size_t longest_line = 4096;
constexpr long long most_values = 100'000;

failure not_redis(std::string_view line) {
    return fail(errc::malformed, "the server's answer is not understood: \"" + printable(line.substr(0, 100)) + "\"");
}

// line is "$SIZE"; nullopt for nil.
result<std::optional<std::string>> read_bulk(client_stream& from, std::string_view line, std::size_t most_bytes) {
    const auto size = parse_integer(line.substr(1));
    if (!size || *size < -1)
        return not_redis(line);
    if (*size == -1)
        return std::nullopt;
    if (static_cast<std::size_t>(*size) > most_bytes)
        return fail(errc::too_large, "the answer is longer than " + std::to_string(most_bytes) + " bytes");
    auto bytes = from.read_bytes(static_cast<std::size_t>(*size) + 2);
    if (!bytes)
        return tl::make_unexpected(bytes.error());
    if (!bytes->ends_with("\r\n"))
        return not_redis(*bytes);
    bytes->resize(bytes->size() - 2);
    return std::move(*bytes);
}

} // namespace

result<redis_answer> read_redis_answer(client_stream& from, std::size_t most_bytes) {
    redis_answer out;
    const auto line = from.read_until("\r\n", longest_line);
    if (!line)
        return tl::make_unexpected(line.error());
    const char kind = line->empty() ? '\0' : line->front();
    if (kind == '-') {
        out.refused = printable(line->substr(1));
        return out;
    }
    if (kind == '+' || kind == ':') {
        out.values.push_back(line->substr(1));
        return out;
    }
    if (kind != '$' && kind != '*')
        return not_redis(*line);
    long long count = 1;
    if (kind == '*') {
        const auto number = parse_integer(line->substr(1));
        if (!number || *number < -1 || *number > most_values)
            return not_redis(*line);
        count = *number;
    }
    for (long long i = 0; i < count; ++i) {
        const auto item = kind == '$' ? line : from.read_until("\r\n", longest_line);
        if (!item)
            return tl::make_unexpected(item.error());
        if (!item->starts_with('$'))
            return not_redis(*item);
        auto value = read_bulk(from, *item, most_bytes);
        if (!value)
            return tl::make_unexpected(value.error());
        if (!*value)
            continue;
        most_bytes -= (*value)->size();
        out.values.push_back(std::move(**value));
    }
    return out;
}

} // namespace mta::table
