#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_filter.hpp>

namespace mta::table {

bool is_sendable(std::string_view key, std::string_view table_name) {
    if (key.find('\0') != std::string_view::npos)
        return false;
    if (!is_utf8(key)) {
        current_log().warning(std::string(table_name) + ": non-UTF-8 key \"" + printable(key.substr(0, 100)) +
                              "\": malformed UTF-8 or invalid codepoint");
        return false;
    }
    return true;
}

result<key_filter> key_filter::open(const client_settings& settings) {
    key_filter out;
    const auto words = settings.text("domain");
    if (!words)
        return tl::make_unexpected(words.error());
    auto list = match_list::open(settings.name(), config::split_list(*words), parent_style::words);
    if (!list)
        return tl::make_unexpected(list.error());
    out.domains_ = std::move(*list);
    return out;
}

result<bool> key_filter::accepts(std::string_view key, std::string_view table_name) {
    if (key.empty() || !is_sendable(key, table_name))
        return false;
    if (domains_.empty())
        return true;
    const auto at = key.rfind('@');
    if (at == std::string_view::npos || at == 0)
        return false;
    return domains_.matches_name(key.substr(at + 1));
}

} // namespace mta::table
