#include <arpa/inet.h>

#include <cstring>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/match_list.hpp>
#include <mta/table/registry.hpp>

namespace mta::table {
namespace {

constexpr int deepest_file = 10;

struct binary_address {
    int family = 0; // 0: no address
    std::array<unsigned char, 16> bytes{};
};

binary_address parse_address(std::string_view text) {
    binary_address out;
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    const std::string copy(text);
    if (::inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1)
        out.family = AF_INET;
    else if (::inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) == 1)
        out.family = AF_INET6;
    return out;
}

bool same_network(const unsigned char* a, const unsigned char* b, int bits) {
    const auto whole = static_cast<std::size_t>(bits / 8);
    if (std::memcmp(a, b, whole) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    const auto mask = static_cast<unsigned char>(0xFF << (8 - bits % 8));
    return (a[whole] & mask) == (b[whole] & mask);
}

std::string folded(std::string_view word) { return folded_key(word, current_utf8() && is_utf8(word)); }

} // namespace

result<match_list> match_list::open(std::string title, const std::vector<std::string>& words, parent_style style) {
    match_list out;
    out.title_ = std::move(title);
    out.style_ = style;
    for (const auto& word : words)
        if (auto added = out.add(word, false, 0); !added)
            return tl::make_unexpected(added.error());
    return out;
}

result<void> match_list::add(std::string_view word, bool negated, int depth) {
    while (!word.empty() && word.front() == '!') {
        negated = !negated;
        word.remove_prefix(1);
    }
    if (word.empty())
        return fail(errc::malformed, title_ + ": no pattern after '!'");
    if (word.front() == '/' && depth < deepest_file) {
        auto text = read_file(std::string(word));
        if (!text)
            return tl::make_unexpected(text.error());
        for (const auto line : split(*text, "\n")) {
            const auto rest = trim(line);
            if (rest.starts_with('#'))
                continue;
            for (const auto inner : split(rest, ", \t\r"))
                if (auto added = add(inner, negated, depth + 1); !added)
                    return added;
        }
        return {};
    }
    const auto colon = word.find(':');
    if (colon != std::string_view::npos && word.front() != '[' && parse_address(word).family == 0 &&
        parse_address(word.substr(0, word.find('/'))).family == 0) {
        auto table = open_live_table(word, {.utf8 = current_utf8()});
        if (!table)
            return tl::make_unexpected(table.error());
        entry one;
        one.what = entry::kind::table;
        one.negated = negated;
        one.table = std::move(*table);
        entries_.push_back(std::move(one));
        return {};
    }
    return add_plain(word, negated);
}

result<void> match_list::add_plain(std::string_view word, bool negated) {
    entry one;
    one.negated = negated;
    one.text = folded(word);
    if (style_ == parent_style::words) {
        entries_.push_back(std::move(one));
        return {};
    }
    const auto slash = word.find('/');
    const auto network = parse_address(word.substr(0, slash));
    if (network.family != 0) {
        const int most = network.family == AF_INET ? 32 : 128;
        one.what = entry::kind::network;
        one.family = network.family;
        one.network = network.bytes;
        one.bits = most;
        if (slash != std::string_view::npos) {
            const auto bits = parse_integer(word.substr(slash + 1));
            if (!bits || *bits < 0 || *bits > most)
                return fail(errc::malformed, title_ + ": bad net/mask pattern: \"" + std::string(word) + "\"");
            one.bits = static_cast<int>(*bits);
        }
    } else if (slash != std::string_view::npos) {
        return fail(errc::malformed, title_ + ": bad net/mask pattern: \"" + std::string(word) + "\"");
    } else if (word.front() == '.') {
        one.what = entry::kind::suffix;
    }
    entries_.push_back(std::move(one));
    return {};
}

failure match_list::trouble(const error& why) const {
    return fail(why.code, why.detail.empty() ? title_ : title_ + ": " + why.detail);
}

result<bool> match_list::matches(const entry& one, const std::string& name, std::string_view address) {
    switch (one.what) {
    case entry::kind::everything:
        return true;
    case entry::kind::name:
        return one.text == name || (style_ == parent_style::subdomains && name.size() > one.text.size() &&
                                    name.ends_with(one.text) && name[name.size() - one.text.size() - 1] == '.');
    case entry::kind::suffix:
        return style_ == parent_style::exact && name.size() > one.text.size() && name.ends_with(one.text);
    case entry::kind::network: {
        const auto binary = parse_address(address.empty() ? std::string_view(name) : address);
        return binary.family == one.family && same_network(binary.bytes.data(), one.network.data(), one.bits);
    }
    case entry::kind::table:
        for (const auto key : {std::string_view(name), address}) {
            if (key.empty())
                continue;
            auto found = one.table->lookup(key);
            if (!found)
                return trouble(found.error());
            if (*found)
                return true;
            if (style_ == parent_style::words || one.table->traits().patterns || key != name)
                continue;
            const std::size_t skipped = style_ == parent_style::subdomains ? 1 : 0;
            for (auto dot = name.find('.', 1); dot != std::string::npos; dot = name.find('.', dot + 1)) {
                auto parent = one.table->lookup(std::string_view(name).substr(dot + skipped));
                if (!parent)
                    return trouble(parent.error());
                if (*parent)
                    return true;
            }
        }
        return false;
    }
    return false;
}

result<bool> match_list::matches_name(std::string_view name) {
    const std::string key = folded(name);
    for (const auto& one : entries_) {
        auto hit = matches(one, key, {});
        if (!hit)
            return hit;
        if (*hit)
            return !one.negated;
    }
    return false;
}

result<bool> match_list::matches_host(std::string_view name, std::string_view address) {
    const std::string key = name == "unknown" ? std::string() : folded(name);
    for (const auto& one : entries_) {
        auto hit = matches(one, key, address);
        if (!hit)
            return hit;
        if (*hit)
            return !one.negated;
    }
    return false;
}

} // namespace mta::table
