#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>

#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/delivery/agents.hpp>
#include <mta/delivery/forward_client.hpp>
#include <mta/delivery/local_agent.hpp>
#include <mta/delivery/virtual_agent.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/rewrite/router.hpp>
#include <mta/table/address_lookup.hpp>
#include <mta/table/maps.hpp>
#include <mta/table/patience.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::delivery {
namespace {

constexpr std::chrono::seconds cleanup_limit{100};

// The tables of one parameter, for all threads. What could not be opened is tried again, at most once a second; until then
// every lookup is an error and never "not found". Tables that are open look after themselves (live_table.hpp).
class live_maps {
public:
    live_maps(std::string title, std::vector<std::string> words)
        : title_(std::move(title)), words_(std::move(words)), tables_(open(title_, words_)) {}

    [[nodiscard]] result<std::optional<std::string>> find(std::string_view key) {
        const auto tables = current();
        if (!tables)
            return tl::make_unexpected(tables.error());
        const table::limited_waiting patience(table::thread_patience);
        return (*tables)->find(key);
    }
    [[nodiscard]] result<std::optional<std::string>> find_address(const std::string& address,
                                                                  const table::address_lookup_options& how) {
        const auto tables = current();
        if (!tables)
            return tl::make_unexpected(tables.error());
        const table::limited_waiting patience(table::thread_patience);
        auto found = table::find_address(**tables, address, how);
        if (!found)
            return tl::make_unexpected(found.error());
        return *found ? std::optional((*found)->value) : std::optional<std::string>();
    }

private:
    using shared_maps = std::shared_ptr<table::maps>;
    static result<shared_maps> open(const std::string& title, const std::vector<std::string>& words) {
        auto opened = table::maps::open(title, words);
        if (!opened)
            return tl::make_unexpected(opened.error());
        return std::make_shared<table::maps>(std::move(*opened));
    }
    result<shared_maps> current() {
        const std::lock_guard guard(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (!tables_ && now - looked_ >= std::chrono::seconds(1)) {
            looked_ = now;
            tables_ = open(title_, words_);
        }
        return tables_;
    }
    std::mutex mutex_;
    std::string title_;
    std::vector<std::string> words_;
    result<shared_maps> tables_;
    std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
};

// Who owns the file of the table that has a key: what aliases name is done with the owner's rights.
class alias_owners {
public:
    explicit alias_owners(std::vector<std::string> words) : words_(std::move(words)) {}

    // nullopt: root, or nobody in particular.
    [[nodiscard]] std::optional<uid_t> find(const std::string& key) {
        const std::lock_guard guard(mutex_);
        while (tables_.size() < words_.size())
            tables_.push_back(std::make_unique<live_maps>("alias_maps", std::vector<std::string>{words_[tables_.size()]}));
        for (std::size_t number = 0; number < words_.size(); ++number)
            if (const auto value = tables_[number]->find(key); !value || *value)
                return owner_of(words_[number]);
        return std::nullopt;
    }

private:
    [[nodiscard]] static std::optional<uid_t> owner_of(const std::string& word) {
        const auto colon = word.find(':');
        const std::string type = word.substr(0, colon);
        std::string file = colon == std::string::npos ? "" : word.substr(colon + 1);
        if (type == "hash" || type == "btree" || type == "lmdb" || type == "cdb")
            file = table::database_file(type, file);
        struct stat found {};
        if (file.empty() || file.front() != '/' || ::stat(file.c_str(), &found) != 0 || found.st_uid == 0)
            return std::nullopt;
        return found.st_uid;
    }
    std::mutex mutex_;
    std::vector<std::string> words_;
    std::vector<std::unique_ptr<live_maps>> tables_;
};

// Where an address leads, in the same way as for new mail. As with tables, what cannot be opened is tried again.
class live_router {
public:
    live_router(const config::configuration& cfg, std::string transport)
        : cfg_(cfg), transport_(std::move(transport)), rewriter_(cfg), router_(open(cfg)) {}

    [[nodiscard]] result<resolved_address> resolve(const std::string& sender, const std::string& address) {
        const auto router = current();
        if (!router)
            return tl::make_unexpected(router.error());
        const auto full = rewriter_.local(address);
        const table::limited_waiting patience(table::thread_patience);
        auto route = (*router)->resolve(sender, full);
        if (!route)
            return tl::make_unexpected(route.error());
        return resolved_address{std::move(route->recipient), route->transport == transport_, route->malformed};
    }
    [[nodiscard]] std::string qualify(const std::string& name) const { return rewriter_.local(name); }

private:
    using shared_router = std::shared_ptr<rewrite::router>;
    static result<shared_router> open(const config::configuration& cfg) {
        auto opened = rewrite::router::open(cfg);
        if (!opened)
            return tl::make_unexpected(opened.error());
        return std::make_shared<rewrite::router>(std::move(*opened));
    }
    result<shared_router> current() {
        const std::lock_guard guard(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (!router_ && now - opened_ >= std::chrono::seconds(1)) {
            opened_ = now;
            router_ = open(cfg_);
        }
        return router_;
    }

    std::mutex mutex_;
    config::configuration cfg_;
    std::string transport_;
    rewrite::rewriter rewriter_;
    result<shared_router> router_;
    std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
};

// The name that maildir files end in: the machine's own, not that of the mail system.
std::string machine_name() {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) != 0)
        return "localhost";
    std::string out;
    for (const char c : std::string_view(name))
        out += c == '/' || c == ':' ? '_' : c;
    return out;
}

result<mailbox_job> common_job(const config::configuration& cfg, config::list_param locks,
                               config::integer_param limit) {
    mailbox_job job;
    auto kinds = parse_locks(join(cfg[locks], " "));
    if (!kinds)
        return tl::make_unexpected(kinds.error());
    job.locks = std::move(*kinds);
    job.hostname = machine_name();
    job.limit = cfg[limit];
    job.lock_attempts = static_cast<int>(cfg[param::deliver_lock_attempts]);
    job.lock_delay = static_cast<int>(cfg[param::deliver_lock_delay].count());
    job.stale_lock_time = static_cast<int>(cfg[param::stale_lock_time].count());
    job.strict_owner = cfg[param::strict_mailbox_ownership];
    return job;
}

std::vector<expansion_source> sources(const std::vector<std::string>& words) {
    std::vector<expansion_source> out;
    for (const auto& word : words) {
        if (word == "alias")
            out.push_back(expansion_source::alias);
        else if (word == "forward")
            out.push_back(expansion_source::forward);
        else if (word == "include")
            out.push_back(expansion_source::include);
    }
    return out;
}

// default_privs; an ordinary user's mail system has only that user.
result<helper_user> default_user(const config::configuration& cfg) {
    if (::geteuid() != 0)
        return helper_user{::geteuid(), ::getegid()};
    const auto who = find_user(cfg[param::default_privs]);
    if (!who)
        return tl::make_unexpected(who.error());
    if (!*who)
        return fail(errc::malformed, "unknown user configured: default_privs = " + cfg[param::default_privs]);
    return helper_user{(*who)->uid, (*who)->gid};
}

// The first parameter in use that changes where mail goes and that nothing here acts on.
template <class... Parameters>
std::string first_set(const config::configuration& cfg, Parameters... names) {
    std::string out;
    for (const std::string_view name : {std::string_view(names)...})
        if (out.empty() && !trim(cfg.text(name)).empty())
            out = name;
    return out;
}

command_settings commands_from(const config::configuration& cfg) {
    command_settings out;
    out.shell = cfg[param::local_command_shell];
    out.directory = cfg[param::command_execution_directory];
    out.directory_filter = cfg[param::execution_directory_expansion_filter];
    out.value_filter = cfg[param::command_expansion_filter];
    out.queue_directory = cfg[param::queue_directory];
    out.time_limit = static_cast<int>(cfg[param::command_time_limit].count());
    out.environment = {"PATH=/usr/bin:/bin"};
    for (const auto& word : cfg[param::export_environment]) {
        if (word.find('=') != std::string::npos)
            out.environment.push_back(word);
        else if (const char* value = std::getenv(word.c_str()); value != nullptr)
            out.environment.push_back(word + "=" + value);
    }
    return out;
}

result<local_settings> settings_from(const config::configuration& cfg) {
    local_settings out;
    auto job = common_job(cfg, param::mailbox_delivery_lock, param::mailbox_size_limit);
    if (!job)
        return tl::make_unexpected(job.error());
    out.mailbox = std::move(*job);
    const auto unprivileged = default_user(cfg);
    if (!unprivileged)
        return tl::make_unexpected(unprivileged.error());
    out.default_user = *unprivileged;
    out.original_header = cfg[param::enable_original_recipient];
    out.recipient_delimiter = cfg[param::recipient_delimiter];
    out.owner_request_special = cfg[param::owner_request_special];
    out.expand_owner = cfg[param::expand_owner_alias];
    out.reset_owner = cfg[param::reset_owner_alias];
    const auto& headers = cfg[param::prepend_delivered_header];
    out.delivered_in_commands = std::ranges::find(headers, "command") != headers.end();
    out.delivered_in_files = std::ranges::find(headers, "file") != headers.end();
    out.delivered_in_forwards = std::ranges::find(headers, "forward") != headers.end();
    out.home_mailbox = cfg[param::home_mailbox];
    out.mail_spool_directory = cfg[param::mail_spool_directory];
    out.files_allowed = sources(cfg[param::allow_mail_to_files]);
    out.commands_allowed = sources(cfg[param::allow_mail_to_commands]);
    out.forward_path = cfg[param::forward_path];
    out.luser_relay = cfg[param::luser_relay];
    out.commands = commands_from(cfg);
    out.mailbox_command = cfg[param::mailbox_command];
    out.not_supported = first_set(cfg, "mailbox_transport_maps", "mailbox_transport");
    out.unknown_user_transport = first_set(cfg, "fallback_transport_maps", "fallback_transport");
    out.myhostname = cfg[param::myhostname];
    out.mail_name = cfg[param::mail_name];
    return out;
}

} // namespace

result<std::unique_ptr<agent>> make_local_agent(const config::configuration& cfg, std::string transport,
                                                std::string queue_root, mailbox_port& port) {
    auto settings = settings_from(cfg);
    if (!settings)
        return tl::make_unexpected(settings.error());
    // The built-in default names NIS, which hardly any host has: only who asks for it is told that it is missing.
    auto words = cfg[param::alias_maps];
    if (!cfg.is_set("alias_maps"))
        std::erase_if(words, [](const std::string& word) { return word.starts_with("nis:"); });
    auto aliases = std::make_shared<live_maps>("alias_maps", words);
    // Each by itself, to tell whose it is; opened once a command, a file or a list asks.
    auto owners = std::make_shared<alias_owners>(std::move(words));
    const auto router = std::make_shared<live_router>(cfg, std::move(transport));

    local_lookups lookups;
    lookups.alias = [aliases](const std::string& key) { return aliases->find(key); };
    lookups.alias_owner = [owners](const std::string& key) { return owners->find(key); };
    lookups.account = [](const std::string& name) { return find_user(name); };
    lookups.owner = [](uid_t uid) { return find_user(uid); };
    if (const auto& maps = cfg[param::mailbox_command_maps]; !maps.empty()) {
        auto tables = std::make_shared<live_maps>("mailbox_command_maps", maps);
        lookups.mailbox_command = [tables](const std::string& name) { return tables->find(name); };
    }
    lookups.qualify = [router](const std::string& name) { return router->qualify(name); };
    lookups.resolve = [router](const std::string& sender, const std::string& address) {
        return router->resolve(sender, address);
    };
    lookups.forward = [socket = queue_root + "/public/cleanup"](const request& from, int queue_file,
                                                                const forward_message& message) {
        return forward(socket, from, queue_file, message, cleanup_limit);
    };
    return make_local_agent(std::move(*settings), std::move(lookups), port);
}

result<std::unique_ptr<agent>> make_virtual_agent(const config::configuration& cfg, mailbox_port& port) {
    virtual_settings settings;
    auto job = common_job(cfg, param::virtual_mailbox_lock, param::virtual_mailbox_limit);
    if (!job)
        return tl::make_unexpected(job.error());
    settings.mailbox = std::move(*job);
    settings.original_header = cfg[param::enable_original_recipient];
    settings.mailbox_base = cfg[param::virtual_mailbox_base];
    settings.minimum_uid = cfg[param::virtual_minimum_uid];

    virtual_lookups lookups;
    table::address_lookup_options how;
    how.recipient_delimiter = cfg[param::recipient_delimiter];
    how.bare_user = false;
    const auto open = [&how](const char* title, const std::vector<std::string>& words) -> virtual_lookups::lookup {
        auto tables = std::make_shared<live_maps>(title, words);
        return [tables, how](const std::string& address) { return tables->find_address(address, how); };
    };
    lookups.mailbox = open("virtual_mailbox_maps", cfg[param::virtual_mailbox_maps]);
    lookups.uid = open("virtual_uid_maps", cfg[param::virtual_uid_maps]);
    lookups.gid = open("virtual_gid_maps", cfg[param::virtual_gid_maps]);
    return make_virtual_agent(std::move(settings), std::move(lookups), port);
}

} // namespace mta::delivery
