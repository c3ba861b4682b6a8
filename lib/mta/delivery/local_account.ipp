#include <sys/stat.h>

#include <mta/core/text.hpp>
#include <mta/delivery/local_delivery.hpp>

namespace mta::delivery {

void local_delivery::account(const path& way, const std::string& name, const mta::address::local_parts& parts,
                             std::string_view domain, bool plain) {
    forward_names names;
    names.user = name;
    names.domain = domain;
    names.recipient = to_.address;
    names.local = name + (parts.extension ? parts.delimiter + std::string(*parts.extension) : "");
    names.extension = parts.extension.value_or("");
    names.delimiter = parts.extension ? std::string(1, parts.delimiter) : "";
    const bool possible = !name.empty() && name.find('/') == std::string::npos;
    const auto who = possible ? lookups_.account(name) : result<std::optional<user>>(std::nullopt);
    if (!who) {
        warn("account lookup of \"" + name + "\": " + who.error().text());
        event(way, defer("4.3.0", "user lookup error"));
        return;
    }
    if (!*who)
        return unknown(way, name, names);
    names.home = (*who)->home;
    names.shell = (*who)->shell;
    if (!settings_.not_supported.empty()) {
        event(way, defer("4.3.5", settings_.not_supported + " is not supported by this version"));
        return;
    }
    if (!plain && !iequals(way.user, name) && dot_forward(way, **who, names))
        return;
    mailbox(way, **who);
}

// True when a .forward file had the last word.
bool local_delivery::dot_forward(const path& way, const user& who, const forward_names& names) {
    // Files of root would be read as root; its mail goes by alias instead.
    if (who.uid == 0)
        return false;
    for (const auto& name : expand_paths(settings_.forward_path, names)) {
        if (name.front() != '/')
            continue;
        const auto read = read_file({who.uid, who.gid}, name, false);
        if (read.status.outcome == outcome::deferred) {
            event(way, defer(read.status.dsn, "cannot read " + name + ": " + read.status.reason));
            return true;
        }
        if (!read.status.delivered())
            warn(read.status.reason); // and on, as if it were not there
        if (!read.status.delivered() || !read.found)
            continue;
        const auto list = parse_destination_file(read.text);
        if (list.empty())
            return false;
        path next = way;
        ++next.depth;
        next.source = expansion_source::forward;
        next.rights = {who.uid, who.gid};
        next.home = who.home;
        next.shell = who.shell;
        next.user = who.name;
        next.forwards = true;
        destinations(next, list);
        return true;
    }
    return false;
}

namespace {

struct spool_access {
    helper_user as;
    bool root_only = false; // nobody but root makes files there
};

// Who writes into the spool directory: a directory that its group may write is entered with that group.
spool_access mailbox_user(const std::string& spool, const user& who) {
    struct stat found {};
    spool_access out{{who.uid, who.gid}, false};
    if (spool.empty() || ::stat(spool.c_str(), &found) != 0 || (found.st_mode & S_IWOTH) != 0 ||
        found.st_uid == who.uid)
        return out;
    if ((found.st_mode & S_IWGRP) != 0 && found.st_gid != 0)
        out.as.gid = found.st_gid;
    else
        out.root_only = true;
    return out;
}

} // namespace

bool local_delivery::find_mailbox_command(const path& way, const user& who, std::optional<std::string>& line) {
    if (lookups_.mailbox_command) {
        auto found = lookups_.mailbox_command(who.name);
        if (!found) {
            warn("mailbox_command_maps lookup of \"" + who.name + "\": " + found.error().text());
            event(way, defer("4.3.0", "mailbox_command_maps lookup failure"));
            return false;
        }
        line = std::move(*found);
    }
    if (!line && !settings_.mailbox_command.empty())
        line = settings_.mailbox_command;
    return true;
}

void local_delivery::mailbox(const path& way, const user& who) {
    std::optional<std::string> line;
    if (!find_mailbox_command(way, who, line))
        return;
    if (line) {
        path own = way;
        own.rights = who.uid == 0 ? settings_.default_user : helper_user{who.uid, who.gid};
        own.home = who.home;
        own.shell = who.shell;
        return event(way, run(own, *line));
    }
    if (who.uid == 0) {
        event(way, defer("4.2.0", "mail is never delivered as root: make \"" + who.name +
                                              "\" an alias of another account"));
        return;
    }
    if (from_.probe)
        return event(way, sent("delivers to mailbox"));
    std::string spool;
    std::string file;
    if (!settings_.home_mailbox.empty()) {
        file = who.home + "/" + settings_.home_mailbox;
    } else {
        spool = settings_.mail_spool_directory;
        file = spool + (spool.ends_with('/') ? who.name + "/" : "/" + who.name);
    }
    auto job = job_for(way, std::move(file));
    const auto access = mailbox_user(spool, who);
    if (access.root_only) {
        // No part of this system writes mail as root. A mailbox that is there can be appended to, without a dotlock
        // that only root could make; one that is missing waits until it has been made.
        job.dotlock_may_fail = true;
        job.refusals_bounce = false;
    }
    auto done = write(access.as, job);
    if (!done.delivered() && access.root_only)
        warn("only root may write in " + spool + ": create the mailbox of each user in advance, or let its group write");
    if (!done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "cannot update mailbox " + job.path + " for user " + who.name + ". " + done.reason;
    event(way, std::move(done));
}

void local_delivery::unknown(const path& way, const std::string& name, const forward_names& names) {
    if (!settings_.unknown_user_transport.empty()) {
        event(way, defer("4.3.5", settings_.unknown_user_transport + " is not supported by this version"));
        return;
    }
    if (!settings_.luser_relay.empty() && !way.relayed) {
        const auto relay = expand_names(settings_.luser_relay, names);
        const auto list = relay ? parse_destinations(*relay) : std::vector<destination>();
        if (list.size() != 1 || list.front().kind != destination_kind::address) {
            warn("bad luser_relay: \"" + settings_.luser_relay + "\"");
            return refuse_configuration(way.address);
        }
        auto to = lookups_.resolve(way.sender, list.front().value);
        if (!to) {
            event(way, defer("4.3.0", "address resolver failure"));
            return;
        }
        if (!to->here)
            return add_forward(way, std::move(to->address));
        if (!seen(to->address)) {
            path next = way;
            next.address = to->address;
            next.relayed = true;
            return address(next, to->address, false);
        }
    }
    event(way, bounce("5.1.1", "unknown user: \"" + printable(name) + "\""));
}

} // namespace mta::delivery
