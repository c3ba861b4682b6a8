#include <sys/stat.h>

#include <cerrno>

#include <mta/delivery/local_delivery.hpp>

namespace mta::delivery {

mailbox_job local_delivery::job_for(const path& way, std::string file) const {
    mailbox_job job = settings_.mailbox;
    job.path = std::move(file);
    job.style = job.path.ends_with('/') ? mailbox_style::maildir : mailbox_style::mbox;
    job.sender = way.sender;
    job.original = settings_.original_header && !way.owned ? (to_.original.empty() ? to_.address : to_.original) : "";
    job.delivered_to = settings_.delivered_in_files ? way.delivered_to : "";
    job.data_offset = from_.data_offset;
    job.refusals_bounce = true;
    return job;
}

status local_delivery::write(helper_user who, const mailbox_job& job) {
    helper_request request;
    request.operation = helper_operation::deliver;
    request.job = job;
    auto done = port_.perform_as(who, request, queue_file_).status;
    for (auto& text : mailbox_warnings(who, job, done))
        warn(std::move(text));
    return done;
}

void local_delivery::file(const path& way, const std::string& name) {
    if (!allowed(settings_.files_allowed, way.source)) {
        event(way, bounce("5.7.1", "mail to file is restricted"));
        return;
    }
    if (seen(name))
        return;
    if (from_.probe)
        return event(way, sent("delivers to file: " + name));
    if (name == "/dev/null") {
        event(way, sent("delivered to file: /dev/null"));
        return;
    }
    auto job = job_for(way, name);
    job.strict_owner = false;
    job.dotlock_may_fail = true;
    auto done = write(way.rights, job);
    if (done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "delivered to file: " + name;
    else if (!done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "cannot append message to file " + name + ": " + done.reason;
    event(way, std::move(done));
}

void local_delivery::command(const path& way, const std::string& line) {
    if (!allowed(settings_.commands_allowed, way.source))
        return event(way, bounce("5.7.1", "mail to command is restricted"));
    if (!commands_.emplace(way.address, line).second)
        return;
    event(way, run(way, line));
}

helper_answer local_delivery::read_file(helper_user who, const std::string& name, bool follow_link) {
    helper_request request;
    request.operation = helper_operation::read;
    request.path = name;
    request.follow_link = follow_link;
    auto whole = port_.perform_as(who, request, -1);
    while (whole.status.delivered() && whole.more) {
        request.offset = static_cast<long long>(whole.text.size());
        auto piece = port_.perform_as(who, request, -1);
        if (!piece.status.delivered())
            return piece;
        if (piece.version != whole.version || piece.text.empty())
            return {defer("4.2.0", "file " + name + " changes while it is read"), false, {}};
        whole.text += piece.text;
        whole.more = piece.more;
    }
    return whole;
}

// What is wrong with the file is a mistake of whoever runs the list, unless it is only that this system, which reads
// nothing as root, may not read it.
void local_delivery::refuse_include(const path& way, const std::string& name, const status& why) {
    if (why.outcome != outcome::bounced || why.reason.starts_with("cannot open ")) {
        warn("cannot read :include: file " + name + ": " + why.reason);
        return event(way, defer("4.2.0", "cannot read :include: file"));
    }
    warn(":include: " + why.reason);
    refuse_configuration(way.address, true);
}

void local_delivery::include(const path& way, const std::string& name) {
    if (name.empty() || name.front() != '/') {
        warn(":include:" + name + " uses a relative path");
        return refuse_configuration(way.address, true);
    }
    if (seen(":include:" + name))
        return;
    if (way.depth >= most_nested) {
        const std::string culprit(mta::address::split_address(way.address).local);
        warn("alias database loop for " + culprit);
        return event(way, bounce("5.4.6", "alias database loop for " + culprit));
    }
    path next = way;
    ++next.depth;
    next.source = expansion_source::include;
    next.forwards = true; // a file may name very many: the queue deals with them one by one
    if (way.user.empty()) { // whose file it is decides what it may do
        struct stat found {};
        if (::stat(name.c_str(), &found) != 0) {
            const int reason = errno;
            warn("unable to lookup :include: file " + name + ": " + std::generic_category().message(reason));
            return refuse_configuration(way.address, reason == ENOENT || reason == ENOTDIR);
        }
        next.rights = settings_.default_user;
        next.home.clear();
        next.shell.clear();
        if (found.st_uid != 0) {
            const auto owner = lookups_.owner ? lookups_.owner(found.st_uid) : result<std::optional<user>>(std::nullopt);
            next.rights = helper_user{found.st_uid, found.st_gid};
            if (owner && *owner) {
                next.home = (*owner)->home;
                next.shell = (*owner)->shell;
            }
        }
    }
    const auto read = read_file(next.rights, name, true);
    if (!read.status.delivered())
        return refuse_include(way, name, read.status);
    if (!read.found) {
        warn("unable to lookup :include: file " + name + ": No such file or directory");
        return refuse_configuration(way.address, true);
    }
    destinations(next, parse_destination_file(read.text));
}

} // namespace mta::delivery
