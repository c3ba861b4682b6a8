// Accounts and groups of this host, through the name service.
//
// Absent and "could not tell" are different outcomes: a directory server that is down must defer mail, not bounce it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include <mta/core/result.hpp>

namespace mta {

struct user {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string gecos;
    std::string home;
    std::string shell;
};

struct group {
    std::string name;
    gid_t gid = 0;
};

[[nodiscard]] result<std::optional<user>> find_user(const std::string& name);
[[nodiscard]] result<std::optional<user>> find_user(uid_t uid);
[[nodiscard]] result<std::optional<group>> find_group(const std::string& name);

// Becomes uid and gid for good, without supplementary groups. Does nothing when the process already is that user
// and is not root.
[[nodiscard]] result<void> drop_privileges(uid_t uid, gid_t gid);

} // namespace mta
