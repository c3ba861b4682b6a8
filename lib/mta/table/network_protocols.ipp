#include <mta/core/text.hpp>
#include <mta/table/network_protocols.hpp>

namespace mta::table {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lowered = to_lower(c);
    return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}

failure not_understood(std::string_view bytes) {
    return fail(errc::temporary, "the server's answer is not understood: \"" + printable(bytes.substr(0, 100)) + "\"");
}

} // namespace

std::string percent_encode(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : bytes) {
        const auto value = static_cast<unsigned char>(c);
        if (value > ' ' && value < 0x7F && c != '%') {
            out += c;
        } else {
            out += '%';
            out += digits[value / 16];
            out += digits[value % 16];
        }
    }
    return out;
}

result<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return fail(errc::malformed, "bad %XX in \"" + printable(text.substr(0, 100)) + "\"");
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

result<std::optional<std::string>> read_tcp_reply(std::string_view line) {
    if (line.size() < 4 || line[3] != ' ')
        return not_understood(line);
    const auto code = line.substr(0, 3);
    if (code != "200" && code != "400" && code != "500")
        return not_understood(line);
    auto text = percent_decode(line.substr(4));
    if (!text)
        return not_understood(line);
    if (code == "400")
        return fail(errc::temporary, "the server says: " + printable(*text));
    if (code == "500")
        return std::nullopt;
    return std::move(*text);
}

std::string netstring(std::string_view bytes) { return std::to_string(bytes.size()) + ":" + std::string(bytes) + ","; }

result<std::size_t> netstring_size(std::string_view digits, std::size_t limit) {
    if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return fail(errc::malformed, "no netstring");
    const auto number = static_cast<std::size_t>(parse_integer(digits).value());
    if (number > limit)
        return fail(errc::too_large, "the answer is longer than " + std::to_string(limit) + " bytes");
    return number;
}

result<std::optional<std::string>> read_socketmap_reply(std::string_view bytes) {
    const auto blank = std::min(bytes.find(' '), bytes.size());
    const auto word = bytes.substr(0, blank);
    const auto rest = bytes.substr(std::min(blank + 1, bytes.size()));
    if (word == "OK")
        return std::string(rest);
    if (word == "NOTFOUND")
        return std::nullopt;
    if (word == "TEMP" || word == "TIMEOUT")
        return fail(errc::temporary, "the server says: " + printable(rest));
    if (word == "PERM")
        return fail(errc::malformed, "the server says: " + printable(rest));
    return not_understood(bytes);
}

result<std::string> ask_tcp(client_stream& server, std::string_view key) {
    if (auto sent = server.send("get " + percent_encode(key) + "\n"); !sent)
        return tl::make_unexpected(sent.error());
    auto line = server.read_until("\n", tcp_reply_limit - 1);
    if (line && server.has_surplus())
        return fail(errc::temporary, "the server answers more than it was asked");
    return line;
}

result<std::string> ask_socketmap(client_stream& server, std::string_view map, std::string_view key) {
    if (auto sent = server.send(netstring(std::string(map) + " " + std::string(key))); !sent)
        return tl::make_unexpected(sent.error());
    // Byte by byte, so that what is no netstring is known at once.
    result<std::size_t> size = fail(errc::malformed, "no netstring");
    for (std::string digits;;) {
        const auto byte = server.read_bytes(1);
        if (!byte)
            return byte;
        if (*byte != ":")
            size = netstring_size(digits += *byte, socketmap_reply_limit);
        if (!size)
            return tl::make_unexpected(size.error());
        if (*byte == ":")
            break;
    }
    auto bytes = server.read_bytes(*size + 1);
    if (!bytes)
        return bytes;
    if (bytes->back() != ',' || server.has_surplus())
        return fail(errc::malformed, "no netstring");
    bytes->pop_back();
    return bytes;
}

} // namespace mta::table
