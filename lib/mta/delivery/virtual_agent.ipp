#include <mta/core/text.hpp>
#include <mta/delivery/virtual_agent.hpp>

namespace mta::delivery {
namespace {

class virtual_agent final : public agent {
public:
    virtual_agent(virtual_settings settings, virtual_lookups lookups, mailbox_port& port)
        : settings_(std::move(settings)), lookups_(std::move(lookups)), port_(port) {}

    agent_result deliver(const request& from, const recipient_ref& to, int queue_file) override {
        agent_result out;
        out.status = attempt(from, to, queue_file, out.warnings);
        out.action = "delivered";
        out.events.push_back({to.address, out.status});
        return out;
    }

private:
    using warnings = std::vector<std::string>;
    using lookup = virtual_lookups::lookup;

    [[nodiscard]] status attempt(const request& from, const recipient_ref& to, int queue_file, warnings& warn);
    // A user or group number; nullopt after a warning.
    [[nodiscard]] std::optional<unsigned> number(const lookup& table, const std::string& address, const char* what,
                                                 long long low, warnings& warn);

    virtual_settings settings_;
    virtual_lookups lookups_;
    mailbox_port& port_;
};

std::optional<unsigned> virtual_agent::number(const lookup& table, const std::string& address, const char* what,
                                              long long low, warnings& warn) {
    const std::string name = "virtual_" + std::string(what) + "_maps";
    const auto found = table(address);
    if (!found) {
        warn.push_back("recipient " + address + ": " + name + ": " + found.error().text());
        return std::nullopt;
    }
    if (!*found) {
        warn.push_back("recipient " + address + ": not found in " + name);
        return std::nullopt;
    }
    const auto value = parse_integer(**found);
    if (!value || *value < low || *value >= 0xFFFFFFFFLL) {
        warn.push_back("recipient " + address + ": bad " + what + " " + **found + " in " + name);
        return std::nullopt;
    }
    return static_cast<unsigned>(*value);
}

status virtual_agent::attempt(const request& from, const recipient_ref& to, int queue_file, warnings& warn) {
    constexpr auto bad_configuration = "mail system configuration error";
    const std::string address = lower(to.address);
    const auto box = lookups_.mailbox(address);
    if (!box) {
        warn.push_back("recipient " + address + ": virtual_mailbox_maps: " + box.error().text());
        return defer("4.3.0", "mailbox lookup error");
    }
    if (!*box || (*box)->empty())
        return bounce("5.1.1", "unknown user: \"" + printable(address) + "\"");
    const auto uid = number(lookups_.uid, address, "uid", std::max(settings_.minimum_uid, 1LL), warn);
    if (!uid)
        return defer("4.3.5", bad_configuration);
    const auto gid = number(lookups_.gid, address, "gid", 1, warn);
    if (!gid)
        return defer("4.3.5", bad_configuration);

    helper_request request;
    mailbox_job& job = request.job;
    job = settings_.mailbox;
    job.path = settings_.mailbox_base.empty() ? **box : settings_.mailbox_base + "/" + **box;
    job.style = job.path.ends_with('/') ? mailbox_style::maildir : mailbox_style::mbox;
    if (from.probe)
        return sent(job.style == mailbox_style::maildir ? "delivers to maildir" : "delivers to mailbox");
    job.sender = from.sender;
    job.original = settings_.original_header ? (to.original.empty() ? to.address : to.original) : "";
    job.delivered_to = to.address;
    job.data_offset = from.data_offset;
    auto done = port_.perform_as({*uid, *gid}, request, queue_file).status;
    if (done.delivered())
        return done;
    for (auto& text : mailbox_warnings({*uid, *gid}, job, done))
        warn.push_back(std::move(text));
    if (job.style == mailbox_style::mbox)
        done.reason = "delivery failed to mailbox " + job.path + ": " + done.reason;
    return done;
}

} // namespace

std::unique_ptr<agent> make_virtual_agent(virtual_settings settings, virtual_lookups lookups, mailbox_port& port) {
    return std::make_unique<virtual_agent>(std::move(settings), std::move(lookups), port);
}

} // namespace mta::delivery
