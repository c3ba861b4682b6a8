#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <mta/delivery/local_delivery.hpp>

namespace mta::delivery {
namespace {

bool allowed(const std::vector<expansion_source>& list, expansion_source from) {
    return std::ranges::find(list, from) != list.end();
}

} // namespace

mailbox_job local_delivery::job_for(const path& way, std::string file) const {
    mailbox_job job = settings_.mailbox;
    job.path = std::move(file);
    job.style = job.path.ends_with('/') ? mailbox_style::maildir : mailbox_style::mbox;
    job.sender = way.sender;
    job.original = settings_.original_header ? (to_.original.empty() ? to_.address : to_.original) : "";
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
        event(way.address, bounce("5.7.1", "mail to file is restricted"));
        return;
    }
    if (seen(name))
        return;
    if (name == "/dev/null") {
        event(way.address, sent("delivered to file: /dev/null"));
        return;
    }
    auto job = job_for(way, name);
    job.strict_owner = false;
    job.dotlock_may_fail = true;
    auto done = write(settings_.default_user, job);
    if (done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "delivered to file: " + name;
    else if (!done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "cannot append message to file " + name + ": " + done.reason;
    event(way.address, std::move(done));
}

void local_delivery::command(const path& way) {
    if (!allowed(settings_.commands_allowed, way.source))
        event(way.address, bounce("5.7.1", "mail to command is restricted"));
    else
        event(way.address, defer("4.3.5", "delivery to commands is not supported by this version"));
}

void local_delivery::include(const path& way, const std::string& name) {
    if (name.empty() || name.front() != '/') {
        warn(":include:" + name + " uses a relative path");
        return refuse_configuration(way.address, true);
    }
    struct stat found {};
    if (::stat(name.c_str(), &found) != 0) {
        const int reason = errno;
        warn("unable to lookup :include: file " + name + ": " + std::generic_category().message(reason));
        return refuse_configuration(way.address, reason == ENOENT || reason == ENOTDIR);
    }
    helper_request request;
    request.operation = helper_operation::read;
    request.path = name;
    helper_user reader = settings_.default_user;
    if (found.st_uid != 0)
        reader = {found.st_uid, found.st_gid};
    const auto read = port_.perform_as(reader, request, -1);
    if (!read.status.delivered() || !read.found) {
        warn("cannot read :include: file: " + (read.found ? read.status.reason : name + " disappeared"));
        event(way.address, defer("4.2.0", "cannot read :include: file"));
        return;
    }
    path next = way;
    next.source = expansion_source::include;
    next.forwards = true; // a file may name very many: the queue deals with them one by one
    for (const auto& one : parse_destination_file(read.text)) {
        if (one.kind == destination_kind::include) {
            warn("nested :include: in " + name);
            event(way.address, defer("4.3.5", "nested :include: files are not supported by this version"));
            continue;
        }
        if (++destinations_ > most_destinations) {
            event(way.address, defer("4.3.0", "too many destinations in one alias expansion"));
            return;
        }
        expand(next, one);
    }
}

} // namespace mta::delivery
