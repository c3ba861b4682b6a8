#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <vector>

#include <mta/core/users.hpp>

namespace mta {
namespace {

// Calls a getXXnam_r-like function with a buffer that grows as it asks.
template <class Entry, class Call>
result<std::optional<Entry>> look_up(const std::string& what, Call call) {
    Entry entry{};
    Entry* found = nullptr;
    static thread_local std::vector<char> buffer(4096);
    for (;;) {
        const int code = call(&entry, buffer.data(), buffer.size(), &found);
        if (code == ERANGE && buffer.size() < (1U << 20U)) {
            buffer.resize(buffer.size() * 4);
            continue;
        }
        if (code == EINTR)
            continue;
        // These say "no such entry" on some systems (getpwnam(3), NOTES).
        if (code == ENOENT || code == ESRCH || (code == 0 && found == nullptr))
            return std::nullopt;
        if (code != 0)
            return fail_errno("look up " + what, code);
        return entry;
    }
}

result<std::optional<user>> to_user(result<std::optional<struct passwd>> entry) {
    if (!entry)
        return tl::make_unexpected(std::move(entry.error()));
    if (!*entry)
        return std::nullopt;
    const auto& e = **entry;
    const auto text = [](const char* s) { return std::string(s != nullptr ? s : ""); };
    return user{text(e.pw_name), e.pw_uid, e.pw_gid, text(e.pw_gecos), text(e.pw_dir), text(e.pw_shell)};
}

} // namespace

result<std::optional<user>> find_user(const std::string& name) {
    return to_user(look_up<struct passwd>("user " + name, [&](auto* e, char* b, std::size_t n, auto** f) {
        return ::getpwnam_r(name.c_str(), e, b, n, f);
    }));
}

result<std::optional<user>> find_user(uid_t uid) {
    return to_user(look_up<struct passwd>("user ID " + std::to_string(uid), [&](auto* e, char* b, std::size_t n, auto** f) {
        return ::getpwuid_r(uid, e, b, n, f);
    }));
}

result<std::optional<group>> find_group(const std::string& name) {
    auto entry = look_up<struct ::group>("group " + name, [&](auto* e, char* b, std::size_t n, auto** f) {
        return ::getgrnam_r(name.c_str(), e, b, n, f);
    });
    if (!entry)
        return tl::make_unexpected(std::move(entry.error()));
    if (!*entry)
        return std::nullopt;
    return mta::group{name, (*entry)->gr_gid};
}

result<void> drop_privileges(uid_t uid, gid_t gid) {
    if (::geteuid() != 0) {
        if (::geteuid() == uid)
            return {};
        return fail(std::make_error_code(std::errc::operation_not_permitted),
                    "become user ID " + std::to_string(uid));
    }
    if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
        return fail_errno("become user ID " + std::to_string(uid));
    return {};
}

} // namespace mta
