// Which worker serves which program of master.cf.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace mta::daemon {

enum class role { receive, queue, send, deliver, tables, supervisor, later };

// In the order in which they start: others may ask the tables worker when they open theirs.
inline constexpr std::array<std::string_view, 5> worker_roles{"tables", "queue", "receive", "send", "deliver"};

[[nodiscard]] constexpr std::string_view role_name(role r) noexcept {
    switch (r) {
    case role::receive:
        return "receive";
    case role::queue:
        return "queue";
    case role::send:
        return "send";
    case role::deliver:
        return "deliver";
    case role::tables:
        return "tables";
    case role::supervisor:
        return "supervisor";
    case role::later:
        break;
    }
    return "later";
}

// nullopt for a program that no Postfix knows. role::later is one that Postfix has and mtad does not serve yet.
[[nodiscard]] constexpr std::optional<role> role_of(std::string_view program) noexcept {
    struct row {
        std::string_view program;
        role served_by;
    };
    constexpr row rows[] = {
        {"smtpd", role::receive},       {"pickup", role::receive},     {"cleanup", role::queue},
        {"qmgr", role::queue},          {"nqmgr", role::queue},        {"oqmgr", role::queue},
        {"trivial-rewrite", role::queue}, {"bounce", role::queue},     {"flush", role::queue},
        {"showq", role::queue},         {"error", role::queue},        {"discard", role::queue},
        {"smtp", role::send},           {"lmtp", role::later},         {"local", role::deliver},
        {"virtual", role::deliver},     {"pipe", role::later},         {"spawn", role::later},
        {"postlogd", role::supervisor}, {"tlsmgr", role::later},       {"postscreen", role::later},
        {"tlsproxy", role::later},      {"dnsblog", role::later},      {"qmqpd", role::later},
        {"anvil", role::later},         {"verify", role::later},       {"scache", role::later},
        {"proxymap", role::tables},
    };
    for (const auto& r : rows)
        if (r.program == program)
            return r.served_by;
    return std::nullopt;
}

} // namespace mta::daemon
