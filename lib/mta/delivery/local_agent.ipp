#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/delivery/local_delivery.hpp>

namespace mta::delivery {
namespace {

// Bounds of one recipient's expansion: what goes over them is deferred, never dropped.
constexpr std::size_t most_destinations = 50000;

} // namespace

agent_result local_delivery::run() {
    auto loops = delivered_to_headers(queue_file_, from_.data_offset);
    path way;
    way.address = to_.address;
    way.sender = from_.sender;
    way.delivered_to = to_.address;
    way.rights = settings_.default_user;
    if (!loops) {
        event(to_.address, defer("4.3.0", "cannot read the message: " + loops.error().text()));
    } else {
        loops_ = std::move(*loops);
        address(way, to_.address, false);
        send_forwards();
    }
    if (out_.events.empty()) // an empty list, or every destination was served before by this same message
        event(to_.address, sent("delivered to nobody: no destination is left"));
    const auto* told = &out_.events.front();
    for (const auto& one : out_.events) {
        const auto worst = told->status.outcome;
        const auto how = one.status.outcome;
        if ((how == outcome::deferred && worst != outcome::deferred) ||
            (how == outcome::bounced && worst == outcome::delivered))
            told = &one;
    }
    out_.status = told->status;
    out_.address = told->address == to_.address ? "" : told->address;
    out_.action = told->forwarded ? "relayed" : "delivered";
    return std::move(out_);
}

void local_delivery::refuse_configuration(const std::string& address, bool permanent) {
    constexpr auto text = "mail system configuration error";
    event(address, permanent ? bounce("5.3.5", text) : defer("4.3.5", text));
}

bool local_delivery::seen(const std::string& address) { return !seen_.insert(lower(address)).second; }

// Plain: no alias and no .forward is looked at (a "\user" destination).
void local_delivery::address(const path& way, std::string_view wanted, bool plain) {
    const std::string folded = lower(wanted);
    if (std::ranges::find(loops_, folded) != loops_.end()) {
        event(std::string(wanted), bounce("5.4.6", "mail forwarding loop for " + std::string(wanted)));
        return;
    }
    const auto whole = mta::address::split_address(folded);
    std::string_view local = whole.local;
    while (local.starts_with('\\')) {
        plain = true;
        local.remove_prefix(1);
    }
    const auto parts =
        mta::address::split_extension(local, settings_.recipient_delimiter, settings_.owner_request_special);
    if (!plain) {
        if (alias(way, std::string(local)))
            return;
        if (parts.extension && alias(way, std::string(parts.user)))
            return;
    }
    const std::string name(parts.user);
    if (way.forwards && !iequals(way.user, name))
        return add_forward(way, std::string(wanted));
    account(way, name, parts, whole.domain, plain);
}

bool local_delivery::alias(const path& way, const std::string& name) {
    if (name.empty() || (!way.aliases.empty() && way.aliases.back() == name))
        return false; // "user: user, other" means the account of that name
    return one_alias(way, name);
}

bool local_delivery::one_alias(const path& way, const std::string& name) {
    const auto value = lookups_.alias(name);
    if (!value) {
        warn("alias lookup of \"" + name + "\": " + value.error().text());
        event(way, defer("4.3.0", "alias database unavailable"));
        return true;
    }
    if (!*value)
        return false;
    const auto before = std::ranges::find(way.aliases, name);
    if (before != way.aliases.end() || way.depth >= most_nested) {
        // Named is the alias that leaves the circle's entrance.
        const auto& culprit = before != way.aliases.end() && before + 1 != way.aliases.end() ? before[1] : way.aliases.back();
        warn("alias database loop for " + culprit);
        event(lookups_.qualify(culprit), bounce("5.4.6", "alias database loop for " + culprit));
        return true;
    }
    const auto list = parse_destinations(**value);
    if (list.empty()) {
        warn("no recipients in the alias \"" + name + "\"");
        refuse_configuration(way.address, true);
        return true;
    }
    path next = way;
    next.aliases.push_back(name);
    ++next.depth;
    next.source = expansion_source::alias;
    if (!take_rights(next, name, list)) {
        warn("cannot find the owner of the alias database with \"" + name + "\"");
        event(way, defer("4.3.0", "cannot find alias database owner"));
        return true;
    }
    if (!find_owner(next, name)) {
        event(way, defer("4.3.0", "alias database unavailable"));
        return true;
    }
    destinations(next, list);
    return true;
}

bool local_delivery::take_rights(path& way, const std::string& name, const std::vector<destination>& list) {
    way.rights = settings_.default_user;
    way.home.clear();
    way.shell.clear();
    const auto is_address = [](const destination& one) { return one.kind == destination_kind::address; };
    if (!lookups_.alias_owner || std::ranges::all_of(list, is_address))
        return true;
    const auto uid = lookups_.alias_owner(name);
    if (!uid)
        return true;
    const auto who = lookups_.owner(*uid);
    if (!who || !*who)
        return false;
    way.rights = {(*who)->uid, (*who)->gid};
    way.home = (*who)->home;
    way.shell = (*who)->shell;
    return true;
}

// False when it could not be told whether there is an owner.
bool local_delivery::find_owner(path& way, const std::string& name) {
    if (name.starts_with("owner-"))
        return true;
    const std::string owner = "owner-" + name;
    const auto value = lookups_.alias(owner);
    if (!value)
        return false;
    if (*value) {
        std::string sender = owner;
        if (settings_.expand_owner) {
            const auto list = parse_destinations(**value);
            if (list.size() == 1 && list.front().kind == destination_kind::address)
                sender = list.front().value;
        }
        way.sender = sender.find('@') == std::string::npos ? lookups_.qualify(sender) : sender;
        way.owned = way.forwards = true;
    } else if (settings_.reset_owner && way.owned && way.user.empty()) {
        way.forwards = false; // the list is its own again, though the sender stays
    }
    return true;
}

void local_delivery::destinations(const path& way, const std::vector<destination>& list) {
    for (const auto& one : list) {
        if (++destinations_ > most_destinations) {
            event(way, defer("4.3.0", "too many destinations in one alias expansion"));
            return;
        }
        expand(way, one);
    }
}

void local_delivery::expand(const path& way, const destination& one) {
    switch (one.kind) {
    case destination_kind::file:
        return file(way, one.value);
    case destination_kind::command:
        return command(way, one.value);
    case destination_kind::include:
        return include(way, one.value);
    case destination_kind::address:
        return expand_address(way, one);
    }
}

void local_delivery::expand_address(const path& way, const destination& one) {
    const bool plain = one.value.starts_with('\\');
    auto to = lookups_.resolve(way.sender, plain ? one.value.substr(1) : one.value);
    if (!to) {
        warn("resolve \"" + one.value + "\": " + to.error().text());
        event(way, defer("4.3.0", "address resolver failure"));
        return;
    }
    if (to->malformed)
        return event(way, bounce("5.1.3", "bad recipient address syntax: " + one.value));
    if (!to->here)
        return add_forward(way, std::move(to->address));
    // "joe: joe, other" means joe's account the second time: that is another destination than the alias.
    const auto local = mta::address::split_address(to->address).local;
    const auto user =
        mta::address::split_extension(local, settings_.recipient_delimiter, settings_.owner_request_special).user;
    const bool account = plain || iequals(way.user, user) || (!way.aliases.empty() && (iequals(way.aliases.back(), local) ||
                                                            iequals(way.aliases.back(), user)));
    // Served here and made a recipient of a new message are two destinations too.
    const std::string kind = std::string(way.forwards ? "@" : "") + (account ? "\\" : "");
    if (seen(kind + to->address))
        return;
    path next = way;
    next.via = way.address;
    next.address = to->address;
    address(next, to->address, plain);
}

void local_delivery::add_forward(const path& way, std::string address) {
    if (from_.probe) {
        if (!seen("@forward " + way.sender + " " + address))
            out_.events.push_back({address, sent("forwards to " + address), !way.owned});
        return;
    }
    const auto same = [&](const pending_forward& one) {
        return one.sender == way.sender && one.delivered_to == way.delivered_to;
    };
    auto batch = std::ranges::find_if(forwards_, same);
    if (batch == forwards_.end())
        batch = forwards_.insert(forwards_.end(),
                                 pending_forward{way.delivered_to, way.sender, to_.address, way.owned, {}});
    if (!seen("@forward " + way.sender + " " + address))
        batch->recipients.push_back(std::move(address));
}

void local_delivery::send_forwards() {
    // What is deferred is tried again as a whole: whoever is served then must not have had it already.
    const auto is_deferred = [](const delivery_event& one) { return one.status.outcome == outcome::deferred; };
    if (std::ranges::any_of(out_.events, is_deferred))
        return;
    for (const auto& one : forwards_) {
        if (one.recipients.empty())
            continue;
        forward_message message;
        message.sender = one.sender;
        message.delivered_to = settings_.delivered_in_forwards ? one.delivered_to : "";
        message.hostname = settings_.myhostname;
        message.mail_name = settings_.mail_name;
        for (const auto& address : one.recipients) {
            forward_recipient to;
            to.address = address;
            to.notify = notify_after_expansion(to_.notify);
            if (!one.owned) { // with an owner, reports are the list's business
                to.original = to_.original;
                to.dsn_original = to_.dsn_original;
            }
            message.recipients.push_back(std::move(to));
        }
        const auto id = lookups_.forward(from_, queue_file_, message);
        if (id) {
            out_.events.push_back({one.address, sent("forwarded as " + *id), true, true});
        } else {
            warn("forwarding failed: " + id.error().text());
            event(one.address, defer("4.3.0", "mail forwarding failed: " + id.error().text()));
        }
    }
}

namespace {

class local_agent final : public agent {
public:
    local_agent(local_settings settings, local_lookups lookups, mailbox_port& port)
        : settings_(std::move(settings)), lookups_(std::move(lookups)), port_(port) {}
    agent_result deliver(const request& from, const recipient_ref& to, int queue_file) override {
        return local_delivery(settings_, lookups_, port_, from, to, queue_file).run();
    }

private:
    local_settings settings_;
    local_lookups lookups_;
    mailbox_port& port_;
};

} // namespace

std::unique_ptr<agent> make_local_agent(local_settings settings, local_lookups lookups, mailbox_port& port) {
    return std::make_unique<local_agent>(std::move(settings), std::move(lookups), port);
}

} // namespace mta::delivery
