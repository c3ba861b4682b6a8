#include <sys/stat.h>

#include <algorithm>
#include <set>

#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>
#include <mta/config/expand.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/aliases.hpp>
#include <mta/delivery/local_agent.hpp>
#include <mta/message/header.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::delivery {

// One recipient's way: the alias chain it came through, what was delivered so far, what waits to be forwarded.
class local_delivery {
public:
    local_delivery(const local_settings& settings, const local_lookups& lookups, mailbox_port& port,
                   const request& from, const recipient_ref& to, int queue_file)
        : settings_(settings), lookups_(lookups), port_(port), from_(from), to_(to), queue_file_(queue_file) {}

    [[nodiscard]] agent_result run();

private:
    // How an address was reached.
    struct path {
        std::vector<std::string> aliases; // being expanded, outermost first
        std::string address;              // for the log
        std::string via;                  // the address whose alias gave this one
        std::string sender;
        std::string delivered_to;
        expansion_source source = expansion_source::alias;
        bool owned = false;   // an owner- alias replaced the sender
        bool forwards = false; // addresses become a new message even when they are local
    };

    void event(const std::string& address, status what) { out_.events.push_back({address, std::move(what)}); }
    void warn(std::string text) { out_.warnings.push_back(std::move(text)); }
    void refuse_configuration(const std::string& address, bool permanent = false);

    void address(const path& way, std::string_view wanted, bool plain);
    // True when the name is an alias and was dealt with.
    [[nodiscard]] bool alias(const path& way, const std::string& name);
    [[nodiscard]] bool one_alias(const path& way, const std::string& name);
    [[nodiscard]] bool find_owner(path& way, const std::string& name);
    void destinations(const path& way, const std::vector<destination>& list);
    void expand(const path& way, const destination& one);
    void expand_address(const path& way, const destination& one);
    void file(const path& way, const std::string& name);
    void command(const path& way);
    void include(const path& way, const std::string& name);
    void account(const path& way, const std::string& name, const address::local_parts& parts, std::string_view domain,
                 bool plain);
    [[nodiscard]] bool dot_forward(const path& way, const user& who, const forward_names& names);
    void mailbox(const path& way, const user& who);
    void unknown(const path& way, const std::string& name, const forward_names& names);
    void add_forward(const path& way, std::string address);
    void send_forwards();
    [[nodiscard]] bool seen(const std::string& address);
    [[nodiscard]] helper_answer ask(helper_user who, const mailbox_job& job);

    struct pending_forward {
        std::string delivered_to;
        std::string sender;
        std::string address; // for the log
        bool owned = false;
        std::vector<std::string> recipients;
    };

    const local_settings& settings_;
    const local_lookups& lookups_;
    mailbox_port& port_;
    const request& from_;
    const recipient_ref& to_;
    int queue_file_;
    std::vector<std::string> loops_;
    std::set<std::string> seen_;
    std::vector<pending_forward> forwards_;
    std::size_t destinations_ = 0;
    agent_result out_;
};

namespace {

// Bounds of one recipient's expansion: what goes over them is deferred, never dropped.
constexpr std::size_t most_destinations = 50000;
constexpr std::size_t most_nested = 100;

bool allowed(const std::vector<expansion_source>& list, expansion_source from) {
    return std::ranges::find(list, from) != list.end();
}

class forward_macros final : public config::macro_source {
public:
    explicit forward_macros(const forward_names& names) : names_(names) {}
    std::optional<std::string_view> find(std::string_view name) override {
        struct row {
            std::string_view name;
            std::string forward_names::*value;
        };
        static constexpr row rows[] = {
            {"user", &forward_names::user},           {"home", &forward_names::home},
            {"shell", &forward_names::shell},         {"recipient", &forward_names::recipient},
            {"extension", &forward_names::extension}, {"domain", &forward_names::domain},
            {"local", &forward_names::local},         {"recipient_delimiter", &forward_names::delimiter},
        };
        for (const auto& r : rows)
            if (r.name == name && !(names_.*r.value).empty())
                return names_.*r.value;
        undefined = true;
        return std::nullopt;
    }
    bool undefined = false;

private:
    const forward_names& names_;
};

} // namespace

std::vector<std::string> expand_paths(std::string_view list, const forward_names& names) {
    std::vector<std::string> out;
    for (const auto& word : config::split_list(list)) {
        forward_macros macros(names);
        auto text = config::expand_macros(word, macros, config::values_are::taken_as_is);
        // A plain $name without a value takes its path out; ${name?…} speaks for itself.
        if (text && !text->empty() && (!macros.undefined || word.find('?') != std::string::npos))
            out.push_back(std::move(*text));
    }
    return out;
}

result<std::vector<std::string>> delivered_to_headers(int queue_file, long long data_offset) {
    unique_fd copy(::fcntl(queue_file, F_DUPFD_CLOEXEC, 3));
    if (!copy)
        return fail_errno("read message");
    auto file = queue::queue_file::adopt(std::move(copy));
    if (!file)
        return tl::make_unexpected(file.error());
    if (auto started = file->start_content(data_offset); !started)
        return tl::make_unexpected(started.error());
    std::vector<std::string> out;
    std::string_view line;
    bool unterminated = false;
    bool line_start = true;
    bool wanted = false;
    std::string value;
    const auto keep = [&] {
        if (wanted && out.size() < 1000)
            out.push_back(lower(mta::address::first_address(value)));
        wanted = false;
    };
    for (;;) {
        auto more = file->next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more || (line_start && line.empty()))
            break;
        if (line_start && !message::is_continuation(line)) {
            keep();
            const auto name = message::header_name_length(line);
            if (name == 0)
                break;
            wanted = iequals(trim(line.substr(0, name)), "Delivered-To");
            value = wanted ? std::string(line.substr(line.find(':') + 1)) : std::string();
        } else if (wanted && value.size() < 4096) {
            value += line;
        }
        line_start = !unterminated;
    }
    keep();
    return out;
}

agent_result local_delivery::run() {
    auto loops = delivered_to_headers(queue_file_, from_.data_offset);
    path way;
    way.address = to_.address;
    way.sender = from_.sender;
    way.delivered_to = to_.address;
    if (!loops) {
        event(to_.address, defer("4.3.0", "cannot read the message: " + loops.error().text()));
    } else {
        loops_ = std::move(*loops);
        address(way, to_.address, false);
        send_forwards();
    }
    if (out_.events.empty()) // every destination had been served before, by this same message
        event(to_.address, sent("delivered to nobody: all destinations are duplicates"));
    out_.status = out_.events.front().status;
    for (const auto& one : out_.events) {
        const auto& worst = out_.status.outcome;
        const auto how = one.status.outcome;
        if ((how == outcome::deferred && worst != outcome::deferred) ||
            (how == outcome::bounced && worst == outcome::delivered))
            out_.status = one.status;
    }
    if (out_.action.empty())
        out_.action = "delivered";
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
        event(way.address, defer("4.3.0", "alias database unavailable"));
        return true;
    }
    if (!*value)
        return false;
    if (std::ranges::find(way.aliases, name) != way.aliases.end() || way.aliases.size() >= most_nested) {
        warn("alias database loop for " + way.aliases.back());
        event(way.via.empty() ? way.address : way.via,
              bounce("5.4.6", "alias database loop for " + way.aliases.back()));
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
    next.source = expansion_source::alias;
    if (!find_owner(next, name)) {
        event(way.address, defer("4.3.0", "alias database unavailable"));
        return true;
    }
    destinations(next, list);
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
    } else if (settings_.reset_owner) {
        way.sender = from_.sender;
        way.owned = way.forwards = false;
    }
    return true;
}

void local_delivery::destinations(const path& way, const std::vector<destination>& list) {
    for (const auto& one : list) {
        if (++destinations_ > most_destinations) {
            event(way.address, defer("4.3.0", "too many destinations in one alias expansion"));
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
        return command(way);
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
        event(way.address, defer("4.3.0", "address resolver failure"));
        return;
    }
    if (to->malformed)
        return event(way.address, bounce("5.1.3", "bad recipient address syntax: " + one.value));
    if (!to->here || way.forwards)
        return add_forward(way, std::move(to->address));
    // "joe: joe, other" means joe's account the second time: that is another destination than the alias.
    const auto local = mta::address::split_address(to->address).local;
    const auto user =
        mta::address::split_extension(local, settings_.recipient_delimiter, settings_.owner_request_special).user;
    const bool account = plain || (!way.aliases.empty() && (iequals(way.aliases.back(), local) ||
                                                            iequals(way.aliases.back(), user)));
    if (seen((account ? "\\" : "") + to->address))
        return;
    path next = way;
    next.via = way.address;
    next.address = to->address;
    address(next, to->address, plain);
}

helper_answer local_delivery::ask(helper_user who, const mailbox_job& job) {
    helper_request request;
    request.operation = helper_operation::deliver;
    request.job = job;
    return port_.perform_as(who, request, queue_file_);
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
    mailbox_job job = settings_.mailbox;
    job.style = name.ends_with('/') ? mailbox_style::maildir : mailbox_style::mbox;
    job.path = name;
    job.sender = way.sender;
    job.original = settings_.original_header ? (to_.original.empty() ? to_.address : to_.original) : "";
    job.delivered_to = way.delivered_to;
    job.data_offset = from_.data_offset;
    job.strict_owner = false;
    job.dotlock_may_fail = true;
    auto done = ask(settings_.default_user, job).status;
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
        event(way.address, defer("4.3.0", "user lookup error"));
        return;
    }
    if (!*who)
        return unknown(way, name, names);
    names.home = (*who)->home;
    names.shell = (*who)->shell;
    if (!settings_.not_supported.empty()) {
        event(way.address, defer("4.3.5", settings_.not_supported + " is not supported by this version"));
        return;
    }
    if (!plain && dot_forward(way, **who, names))
        return;
    mailbox(way, **who);
}

// True when a .forward file had the last word.
bool local_delivery::dot_forward(const path& way, const user& who, const forward_names& names) {
    // Files of root would be read as root; its mail goes by alias instead.
    if (who.uid == 0)
        return false;
    for (const auto& name : expand_paths(settings_.forward_path, names)) {
        helper_request request;
        request.operation = helper_operation::read;
        request.path = name;
        if (name.front() != '/')
            continue;
        const auto read = port_.perform_as({who.uid, who.gid}, request, -1);
        if (!read.found && read.status.delivered())
            continue;
        if (!read.status.delivered()) {
            event(way.address, defer(read.status.dsn, "cannot read " + name + ": " + read.status.reason));
            return true;
        }
        const auto list = parse_destination_file(read.text);
        if (list.empty())
            return false;
        for (const auto& one : list)
            if (one.kind != destination_kind::address) {
                event(way.address, defer("4.3.5", "only addresses are supported in " + name + " by this version"));
                return true;
            }
        path next = way;
        next.source = expansion_source::forward;
        next.delivered_to = way.address;
        next.forwards = false;
        for (const auto& one : list) {
            auto to = lookups_.resolve(way.sender, one.value.starts_with('\\') ? one.value.substr(1) : one.value);
            if (!to) {
                event(way.address, defer("4.3.0", "address resolver failure"));
                continue;
            }
            const auto local = mta::address::split_address(to->address).local;
            // The user's own name among the addresses keeps a copy.
            if (to->here && iequals(local, who.name)) {
                if (!seen("\\" + to->address))
                    mailbox(way, who);
            } else {
                add_forward(next, std::move(to->address));
            }
        }
        return true;
    }
    return false;
}

namespace {

// Who writes into the spool directory: a directory that its group may write is entered with that group.
helper_user mailbox_user(const std::string& spool, const user& who) {
    struct stat found {};
    helper_user out{who.uid, who.gid};
    if (!spool.empty() && ::stat(spool.c_str(), &found) == 0 && (found.st_mode & S_IWOTH) == 0 &&
        (found.st_mode & S_IWGRP) != 0 && found.st_gid != 0)
        out.gid = found.st_gid;
    return out;
}

} // namespace

void local_delivery::mailbox(const path& way, const user& who) {
    if (who.uid == 0) {
        event(way.address, defer("4.2.0", "mail is never delivered as root: make \"" + who.name +
                                              "\" an alias of another account"));
        return;
    }
    mailbox_job job = settings_.mailbox;
    std::string spool;
    if (!settings_.home_mailbox.empty()) {
        job.path = who.home + "/" + settings_.home_mailbox;
    } else {
        spool = settings_.mail_spool_directory;
        job.path = spool + (spool.ends_with('/') ? who.name + "/" : "/" + who.name);
    }
    job.style = job.path.ends_with('/') ? mailbox_style::maildir : mailbox_style::mbox;
    job.sender = way.sender;
    job.original = settings_.original_header ? (to_.original.empty() ? to_.address : to_.original) : "";
    job.delivered_to = way.delivered_to;
    job.data_offset = from_.data_offset;
    const auto as = mailbox_user(spool, who);
    auto done = ask(as, job).status;
    if (!done.delivered() && job.style == mailbox_style::mbox)
        done.reason = "cannot update mailbox " + job.path + " for user " + who.name + ". " + done.reason;
    if (!done.delivered() && job.style == mailbox_style::maildir && done.reason.ends_with("Permission denied")) {
        warn("maildir access problem for UID/GID=" + std::to_string(as.uid) + "/" + std::to_string(as.gid) + ": " +
             done.reason.substr(done.reason.find(": ") + 2));
        warn("perhaps you need to create the maildirs in advance");
    }
    event(way.address, std::move(done));
}

void local_delivery::unknown(const path& way, const std::string& name, const forward_names& names) {
    if (!settings_.unknown_user_transport.empty()) {
        event(way.address, defer("4.3.5", settings_.unknown_user_transport + " is not supported by this version"));
        return;
    }
    if (!settings_.luser_relay.empty()) {
        forward_macros macros(names);
        const auto relay =
            config::expand_macros(settings_.luser_relay, macros, config::values_are::taken_as_is);
        const auto list = relay ? parse_destinations(*relay) : std::vector<destination>();
        if (list.size() != 1 || list.front().kind != destination_kind::address) {
            warn("bad luser_relay: \"" + settings_.luser_relay + "\"");
            return refuse_configuration(way.address);
        }
        auto to = lookups_.resolve(way.sender, list.front().value);
        if (!to) {
            event(way.address, defer("4.3.0", "address resolver failure"));
            return;
        }
        const auto where = mta::address::split_address(to->address);
        if (!to->here)
            return add_forward(way, std::move(to->address));
        if (!seen(to->address)) {
            path next = way;
            next.address = to->address;
            const auto parts = mta::address::split_extension(where.local, settings_.recipient_delimiter,
                                                             settings_.owner_request_special);
            const auto known = lookups_.account(lower(parts.user));
            if (!known || *known)
                return address(next, to->address, false);
            event(next.address, bounce("5.1.1", "unknown user: \"" + printable(lower(parts.user)) + "\""));
            return;
        }
    }
    event(way.address, bounce("5.1.1", "unknown user: \"" + printable(name) + "\""));
}

void local_delivery::add_forward(const path& way, std::string address) {
    const auto same = [&](const pending_forward& one) {
        return one.sender == way.sender && one.delivered_to == way.delivered_to && one.address == way.address;
    };
    auto batch = std::ranges::find_if(forwards_, same);
    if (batch == forwards_.end())
        batch = forwards_.insert(forwards_.end(),
                                 pending_forward{way.delivered_to, way.sender, way.address, way.owned, {}});
    if (!seen("@forward " + way.sender + " " + address))
        batch->recipients.push_back(std::move(address));
}

void local_delivery::send_forwards() {
    for (const auto& one : forwards_) {
        if (one.recipients.empty())
            continue;
        forward_message message;
        message.sender = one.sender;
        message.delivered_to = one.delivered_to;
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
            event(one.address, sent("forwarded as " + *id));
            out_.action = "expanded";
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
