// Who may use a command, and as which sender: authorized_submit_users, authorized_mailq_users, authorized_flush_users and
// local_login_sender_maps.
//
// Opens tables and may block on them; a table that cannot answer is an error, which callers take for a refusal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/table/maps.hpp>
#include <mta/table/match_list.hpp>

namespace mta::table {

// The login name of uid, or otherwise.
[[nodiscard]] inline std::string login_name(uid_t uid, std::string_view otherwise = "unknown") {
    const auto found = find_user(uid);
    return found && *found ? (*found)->name : std::string(otherwise);
}

// Whether words (names, "!name", "/file", "type:table") let the user in; the first word that matches decides. title names
// the parameter, for messages.
[[nodiscard]] inline result<bool> lets_in(std::string title, const std::vector<std::string>& words,
                                          std::string_view user) {
    // Most lists are this one: no table is opened for it.
    if (words.size() == 1 && (words.front() == "static:anyone" || words.front() == "static:all"))
        return true;
    auto list = match_list::open(std::move(title), words, parent_style::words);
    if (!list)
        return tl::make_unexpected(list.error());
    return list->matches_name(user);
}

// Whether one of the patterns lets sender (internal form) through: "*", "@domain", the name of the null sender, or an
// address, which is compared without the sender's extension. Case does not matter.
[[nodiscard]] inline bool sender_matches(std::string_view patterns, std::string_view sender,
                                         std::string_view recipient_delimiter, std::string_view null_sender) {
    const auto at = sender.rfind('@');
    const auto domain = at == std::string_view::npos ? std::string_view() : sender.substr(at);
    std::string plain(address::split_extension(sender.substr(0, at), recipient_delimiter).user);
    plain += domain;
    for (const auto pattern : split(patterns, ", \t\r\n")) {
        if (pattern == "*")
            return true;
        if (sender.empty() ? iequals(pattern, null_sender)
                           : iequals(pattern, plain) || (pattern.size() > 1 && pattern.front() == '@' &&
                                                         iequals(pattern, domain)))
            return true;
    }
    return false;
}

// Whether local_login_sender_maps (specs) lets the user of that login name send as sender.
[[nodiscard]] inline result<bool> may_send_as(const std::vector<std::string>& specs, std::string_view login,
                                              std::string_view sender, std::string_view recipient_delimiter,
                                              std::string_view null_sender) {
    if (specs.size() == 1 && specs.front() == "static:*")
        return true;
    auto senders = maps::open("local_login_sender_maps", specs);
    if (!senders)
        return tl::make_unexpected(senders.error());
    auto patterns = senders->find(login);
    if (!patterns)
        return tl::make_unexpected(patterns.error());
    return *patterns && sender_matches(**patterns, sender, recipient_delimiter, null_sender);
}

} // namespace mta::table
