#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include <mta/core/users.hpp>

#include "control.hpp"

namespace mta::postfix {
namespace {

enum class owner { root, mail };

struct place {
    const char* name;
    owner who;
    bool setgid_group;
    mode_t mode;
};

// docs/queue-format.md, "Directories".
constexpr std::array<place, 15> places{{
    {"active", owner::mail, false, 0700},
    {"bounce", owner::mail, false, 0700},
    {"corrupt", owner::mail, false, 0700},
    {"defer", owner::mail, false, 0700},
    {"deferred", owner::mail, false, 0700},
    {"flush", owner::mail, false, 0700},
    {"hold", owner::mail, false, 0700},
    {"incoming", owner::mail, false, 0700},
    {"maildrop", owner::mail, true, 0730},
    {"pid", owner::root, false, 0755},
    {"private", owner::mail, false, 0700},
    {"public", owner::mail, true, 0710},
    {"saved", owner::mail, false, 0700},
    {"trace", owner::mail, false, 0700},
    {nullptr, owner::root, false, 0},
}};

struct owners {
    uid_t mail;
    gid_t setgid;
    uid_t root;
    gid_t root_group;
};

std::optional<owners> find_owners(context& ctx) {
    if (!ctx.as_root)
        return owners{geteuid(), getegid(), geteuid(), getegid()};
    const auto& mail_name = ctx.cfg[param::mail_owner];
    const auto& group_name = ctx.cfg[param::setgid_group];
    const auto mail = find_user(mail_name);
    const auto group = find_group(group_name);
    if (!mail || !*mail) {
        ctx.log.error("mail_owner: " + mail_name + (mail ? ": no such account; create it or set mail_owner in main.cf"
                                                         : ": " + mail.error().text()));
        return std::nullopt;
    }
    if (!group || !*group) {
        ctx.log.error("setgid_group: " + group_name +
                      (group ? ": no such group; create it or set setgid_group in main.cf"
                             : ": " + group.error().text()));
        return std::nullopt;
    }
    return owners{(*mail)->uid, (*group)->gid, 0, 0};
}

class inspector {
public:
    inspector(context& ctx, repair what) : ctx_(ctx), what_(what) {}

    bool directory(const std::string& path, uid_t uid, std::optional<gid_t> gid, mode_t mode) {
        struct stat info {};
        if (lstat(path.c_str(), &info) != 0) {
            if (errno != ENOENT)
                return trouble("look at " + path);
            ctx_.log.info("creating missing directory " + path);
            if (mkdir(path.c_str(), mode) != 0)
                return trouble("create directory " + path);
            return settle(path, uid, gid, mode);
        }
        if (!S_ISDIR(info.st_mode)) {
            ctx_.log.error("not a directory: " + path);
            return false;
        }
        const bool owner_right = info.st_uid == uid;
        const bool group_right = !gid || info.st_gid == *gid;
        const bool mode_right = (info.st_mode & 07777U) == mode;
        if (owner_right && group_right && mode_right)
            return true;
        if (what_ == repair::all)
            return settle(path, uid, gid, mode);
        if (!owner_right)
            ctx_.log.warning("not owned by " + name_of(uid) + ": " + path);
        if (!group_right)
            ctx_.log.warning("not owned by group " + ctx_.cfg[param::setgid_group] + ": " + path);
        if (!mode_right) {
            std::array<char, 64> text{};
            std::snprintf(text.data(), text.size(), "mode %04o instead of %04o: ", info.st_mode & 07777U,
                          static_cast<unsigned>(mode));
            ctx_.log.warning(text.data() + path);
        }
        return true;
    }

    // A set-gid command of the installation; one that is not there is not ours to judge.
    void command(const std::string& path, gid_t gid) {
        struct stat info {};
        if (stat(path.c_str(), &info) != 0)
            return;
        if (what_ == repair::all && (chown(path.c_str(), 0, gid) != 0 || chmod(path.c_str(), 02555) != 0))
            (void)trouble("set owner and mode of " + path);
        if (what_ == repair::all)
            return;
        if (info.st_gid != gid)
            ctx_.log.warning("not owned by group " + ctx_.cfg[param::setgid_group] + ": " + path);
        if ((info.st_mode & 02111U) != 02111U)
            ctx_.log.warning("not set-gid or not owner+group+world executable: " + path);
    }

private:
    bool trouble(const std::string& what) {
        ctx_.log.error(error{std::error_code(errno, std::generic_category()), what}.text());
        return false;
    }

    bool settle(const std::string& path, uid_t uid, std::optional<gid_t> gid, mode_t mode) {
        if (ctx_.as_root && chown(path.c_str(), uid, gid.value_or(0)) != 0)
            return trouble("set owner of " + path);
        return chmod(path.c_str(), mode) == 0 || trouble("set mode of " + path);
    }

    std::string name_of(uid_t uid) {
        const auto found = find_user(uid);
        return found && *found ? (*found)->name : "user " + std::to_string(uid);
    }

    context& ctx_;
    repair what_;
};

} // namespace

bool check_directories(context& ctx, repair what) {
    const auto who = find_owners(ctx);
    if (!who)
        return false;
    inspector look(ctx, what);
    const auto& queue = ctx.cfg[param::queue_directory];
    const std::optional<gid_t> any;
    bool good = look.directory(queue, who->root, any, 0755);
    good = look.directory(ctx.cfg[param::data_directory], who->mail, any, 0700) && good;
    if (!good)
        return false;
    for (const auto& entry : places) {
        if (entry.name == nullptr)
            break;
        const auto uid = entry.who == owner::mail ? who->mail : who->root;
        good = look.directory(queue + "/" + entry.name, uid, entry.setgid_group ? std::optional(who->setgid) : any,
                              entry.mode) &&
               good;
    }
    if (ctx.as_root)
        for (const char* name : {"postdrop", "postqueue"})
            look.command(ctx.cfg[param::command_directory] + "/" + name, who->setgid);
    return good;
}

} // namespace mta::postfix
