// Bodies of parts.hpp.
#include <mta/address/parts.hpp>

#include <mta/core/text.hpp>

namespace mta::address {

address_parts split_address(std::string_view internal) noexcept {
    const auto at = internal.rfind('@');
    if (at == std::string_view::npos)
        return {internal, {}, false};
    return {internal.substr(0, at), internal.substr(at + 1), true};
}

local_parts split_extension(std::string_view local, std::string_view recipient_delimiter,
                            bool owner_request_special) noexcept {
    local_parts whole{local, std::nullopt, 0};
    if (recipient_delimiter.empty())
        return whole;
    for (const std::string_view kept : {"postmaster", "mailer-daemon", "double-bounce"})
        if (iequals(local, kept))
            return whole;
    if (owner_request_special && recipient_delimiter.find('-') != std::string_view::npos) {
        constexpr std::string_view owner = "owner-";
        constexpr std::string_view request = "-request";
        if (local.size() > owner.size() && iequals(local.substr(0, owner.size()), owner))
            return whole;
        if (local.size() > request.size() && iequals(local.substr(local.size() - request.size()), request))
            return whole;
    }
    const auto at = local.find_first_of(recipient_delimiter);
    if (at == 0 || at == std::string_view::npos)
        return whole;
    return {local.substr(0, at), local.substr(at + 1), local[at]};
}

namespace {

constexpr bool is_plain(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F)
        return false;
    return std::string_view("()<>[]:;@\\,\"").find(c) == std::string_view::npos;
}

void append_quoted_local(std::string& out, std::string_view local) {
    if (!needs_quotes(local)) {
        out += local;
        return;
    }
    out += '"';
    for (const char c : local) {
        if (c == '"' || c == '\\' || c == '\r')
            out += '\\';
        out += c;
    }
    out += '"';
}

// The "@" that ends the local part of an external address: the last one outside quotes.
std::size_t external_at(std::string_view external) noexcept {
    auto at = std::string_view::npos;
    bool quoted = false;
    for (std::size_t i = 0; i < external.size(); ++i) {
        if (external[i] == '\\')
            ++i;
        else if (external[i] == '"')
            quoted = !quoted;
        else if (external[i] == '@' && !quoted)
            at = i;
    }
    return at;
}

} // namespace

bool needs_quotes(std::string_view local) noexcept {
    if (local.empty() || local.front() == '.' || local.back() == '.')
        return true;
    char before = 0;
    for (const char c : local) {
        if (!is_plain(c) || (c == '.' && before == '.'))
            return true;
        before = c;
    }
    return false;
}

std::string quote_local(std::string_view local) {
    std::string out;
    append_quoted_local(out, local);
    return out;
}

std::string quote(std::string_view internal) {
    std::string storage;
    const auto view = quoted_view(internal, storage);
    return storage.empty() ? std::string(view) : std::move(storage);
}

std::string_view quoted_view(std::string_view internal, std::string& storage) {
    const auto parts = split_address(internal);
    storage.clear();
    if (internal.empty() || !needs_quotes(parts.local))
        return internal;
    append_quoted_local(storage, parts.local);
    storage += internal.substr(parts.local.size());
    return storage;
}

std::string unquote(std::string_view external) {
    if (external.find_first_of("\"\\") == std::string_view::npos)
        return std::string(external);
    const auto at = external_at(external);
    const auto local = external.substr(0, at);
    std::string out;
    out.reserve(external.size());
    for (std::size_t i = 0; i < local.size(); ++i) {
        if (local[i] == '"')
            continue;
        if (local[i] == '\\' && i + 1 < local.size())
            ++i;
        out += local[i];
    }
    if (at != std::string_view::npos)
        out += external.substr(at);
    return out;
}

} // namespace mta::address
