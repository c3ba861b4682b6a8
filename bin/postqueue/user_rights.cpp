#include "user_rights.hpp"

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>

namespace mta::postqueue {

std::string login_name(uid_t uid) {
    const auto found = find_user(uid);
    return found && *found ? (*found)->name : "unknown";
}

result<bool> lets_in(const std::vector<std::string>& words, std::string_view user) {
    for (std::string_view word : words) {
        bool answer = true;
        for (; word.starts_with('!'); word.remove_prefix(1))
            answer = !answer;
        if (word == user || word.starts_with("static:"))
            return answer;
        if (word.starts_with('/')) {
            auto text = read_file(std::string(word), 1U << 20U);
            if (!text)
                return tl::make_unexpected(text.error());
            auto inside = lets_in([&] {
                std::vector<std::string> listed;
                for (const auto line : split(*text, "\r\n"))
                    if (const auto clean = trim(line); !clean.empty() && clean.front() != '#' &&
                                                       clean.front() != '/') // no list inside a list
                        listed.emplace_back(clean);
                return listed;
            }(), user);
            if (!inside || *inside)
                return inside ? result<bool>(answer) : inside;
        } else if (word.find(':') != std::string_view::npos)
            return fail(errc::unsupported, "table of users is not supported here: " + std::string(word));
    }
    return false;
}

} // namespace mta::postqueue
