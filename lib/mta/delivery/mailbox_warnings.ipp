#include <mta/delivery/agents.hpp>

namespace mta::delivery {

std::vector<std::string> mailbox_warnings(helper_user who, const mailbox_job& job, const status& done) {
    std::vector<std::string> out;
    if (done.delivered())
        return out;
    if (job.style == mailbox_style::mbox) {
        if (done.reason.ends_with(" is not owned by recipient"))
            out.emplace_back("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
    } else if (done.reason.ends_with("Permission denied")) {
        out.push_back("maildir access problem for UID/GID=" + std::to_string(who.uid) + "/" +
                      std::to_string(who.gid) + ": " + done.reason.substr(done.reason.find(": ") + 2));
        out.emplace_back("perhaps you need to create the maildirs in advance");
    }
    return out;
}

} // namespace mta::delivery
