// Local delivery: aliases(5), ~/.forward with plain addresses, then the mailbox of an account of this host.
//
// Order for one address: loop check, alias (full local part, then without extension), account, .forward, mailbox.
// Addresses that an alias gives are delivered here when they are local; lists with an owner- alias, :include: files
// and other addresses become a new message (forward_client.hpp). Commands run as helpers (command.hpp). What is not done
// yet (mailbox_transport and the like) defers with a text that says so; nothing is dropped.
//
// The decisions alone: lookups, resolution and forwarding are functions, so that a test needs no table and no queue.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/users.hpp>
#include <mta/delivery/agents.hpp>
#include <mta/delivery/forward_client.hpp>

namespace mta::delivery {

enum class expansion_source { alias, forward, include };

// What all commands have in common.
struct command_settings {
    std::string shell;               // local_command_shell
    std::string directory;           // command_execution_directory, raw
    std::string directory_filter;    // the characters that may come from outside into a directory's name
    std::string value_filter;        // command_expansion_filter: and into the environment
    std::string queue_directory;     // where a command runs that has no directory
    std::vector<std::string> environment; // NAME=value: PATH and export_environment
    int time_limit = 1000;
};

struct local_settings {
    mailbox_job mailbox; // hostname, limit, locks: the parts that are the same for every recipient
    bool original_header = true; // enable_original_recipient
    std::string recipient_delimiter;
    bool owner_request_special = true;
    bool expand_owner = false; // expand_owner_alias
    bool reset_owner = false;  // reset_owner_alias
    // prepend_delivered_header: where mail goes on with a Delivered-To header, which is what stops loops
    bool delivered_in_commands = true;
    bool delivered_in_files = true;
    bool delivered_in_forwards = true;
    command_settings commands;
    std::string mailbox_command; // raw
    std::string home_mailbox;
    std::string mail_spool_directory = "/var/mail";
    std::vector<expansion_source> files_allowed;    // allow_mail_to_files
    std::vector<expansion_source> commands_allowed; // allow_mail_to_commands
    std::string forward_path; // raw
    std::string luser_relay;  // raw
    std::string not_supported; // a parameter in use that this version does not act on: every mailbox defers
    std::string unknown_user_transport; // likewise (fallback_transport): unknown users defer
    helper_user default_user;  // default_privs: for /file, |command and :include: of aliases
    std::string myhostname;
    std::string mail_name = "Postfix";
};

// What an address comes to after rewriting.
struct resolved_address {
    std::string address;
    bool here = false;      // for this very transport
    bool malformed = false; // nobody's address
};

struct local_lookups {
    // The right-hand side of an alias; key is in lower case. nullopt: no such alias. Error: could not tell.
    std::function<result<std::optional<std::string>>(const std::string& key)> alias;
    std::function<result<std::optional<user>>(const std::string& name)> account;
    std::function<result<std::optional<user>>(uid_t uid)> owner; // of a file
    // Whose table has the alias; nullopt: nobody's, or root's. May be empty.
    std::function<std::optional<uid_t>(const std::string& key)> alias_owner;
    // mailbox_command_maps; may be empty.
    std::function<result<std::optional<std::string>>(const std::string& name)> mailbox_command;
    std::function<result<resolved_address>(const std::string& sender, const std::string& address)> resolve;
    // The address as it stands in a sender, from a bare name ("owner-list").
    std::function<std::string(const std::string& name)> qualify;
    // The new queue ID.
    std::function<result<std::string>(const request& from, int queue_file, const forward_message& message)> forward;
};

[[nodiscard]] std::unique_ptr<agent> make_local_agent(local_settings settings, local_lookups lookups,
                                                      mailbox_port& port);

// The addresses of the message's Delivered-To headers in lower case, at most 1000.
[[nodiscard]] result<std::vector<std::string>> delivered_to_headers(int queue_file, long long data_offset);

} // namespace mta::delivery
