// Who may use a command: the lists authorized_mailq_users, authorized_flush_users and their like.
//
// Understands login names, "!name", "static:" (everybody) and "/file" with one name a line. Of another table type it
// says "could not tell", which its caller takes as a refusal.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::postqueue {

// The login name of uid, or "unknown".
[[nodiscard]] std::string login_name(uid_t uid);

// Whether words let the user in; the first word that matches decides.
[[nodiscard]] result<bool> lets_in(const std::vector<std::string>& words, std::string_view user);

} // namespace mta::postqueue
