// One recipient's local delivery while it runs: the state that the parts of the local agent share.
//
// A part of local_agent.hpp, for its own .ipp files: aliases and addresses (local_agent.ipp), files, commands and
// lists (local_targets.ipp), running commands (local_command.ipp), accounts with their .forward files and mailboxes (local_account.ipp).
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/delivery/aliases.hpp>
#include <mta/delivery/forward_paths.hpp>
#include <mta/delivery/local_agent.hpp>

namespace mta::delivery {

// Whether a kind of list may name files, or commands.
inline bool allowed(const std::vector<expansion_source>& kinds, expansion_source from) {
    return std::find(kinds.begin(), kinds.end(), from) != kinds.end();
}

// Lists within lists within aliases: what is nested deeper is a mistake or an attack.
inline constexpr std::size_t most_nested = 95;

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
        std::size_t depth = 0;            // of aliases, lists and .forward files within each other
        bool relayed = false;             // luser_relay had its turn
        std::string address;              // for the log
        std::string via;                  // the address whose alias gave this one
        std::string sender;
        std::string delivered_to;
        expansion_source source = expansion_source::alias;
        helper_user rights;    // who files and further lists are written and read as
        std::string user;      // whose .forward this is: his own name in it means his mailbox
        std::string home, shell; // of whoever has the rights; empty for default_user
        bool owned = false;    // an owner- alias replaced the sender
        bool forwards = false; // accounts become recipients of a new message even when they are local
    };

    void event(const std::string& address, status what) { out_.events.push_back({address, std::move(what)}); }
    void event(const path& way, status what) { out_.events.push_back({way.address, std::move(what), !way.owned}); }
    void warn(std::string text) { out_.warnings.push_back(std::move(text)); }
    void refuse_configuration(const std::string& address, bool permanent = false);

    void address(const path& way, std::string_view wanted, bool plain);
    // True when the name is an alias and was dealt with.
    [[nodiscard]] bool alias(const path& way, const std::string& name);
    [[nodiscard]] bool one_alias(const path& way, const std::string& name);
    [[nodiscard]] bool find_owner(path& way, const std::string& name);
    // Gives way the rights of whoever owns the table that has the alias. False: could not be told.
    [[nodiscard]] bool take_rights(path& way, const std::string& name, const std::vector<destination>& list);
    void destinations(const path& way, const std::vector<destination>& list);
    void expand(const path& way, const destination& one);
    void expand_address(const path& way, const destination& one);
    void file(const path& way, const std::string& name);
    void command(const path& way, const std::string& line);
    [[nodiscard]] status run(const path& way, const std::string& line);
    [[nodiscard]] std::vector<std::string> environment(const path& way) const;
    // The mailbox_command of an account; nullopt: it has a mailbox. False: could not be told, and an event says so.
    [[nodiscard]] bool find_mailbox_command(const path& way, const user& who, std::optional<std::string>& line);
    void refuse_include(const path& way, const std::string& name, const status& why);
    void include(const path& way, const std::string& name);
    void account(const path& way, const std::string& name, const address::local_parts& parts, std::string_view domain,
                 bool plain);
    [[nodiscard]] bool dot_forward(const path& way, const user& who, const forward_names& names);
    void mailbox(const path& way, const user& who);
    void unknown(const path& way, const std::string& name, const forward_names& names);
    void add_forward(const path& way, std::string address);
    void send_forwards();
    [[nodiscard]] bool seen(const std::string& address);
    // The job for a file at path, with what every delivery along this way has in common.
    [[nodiscard]] mailbox_job job_for(const path& way, std::string file) const;
    // A whole file, piece by piece, as that user.
    [[nodiscard]] helper_answer read_file(helper_user who, const std::string& name, bool follow_link);
    // Performs it. Adds the warnings that go with a failure.
    [[nodiscard]] status write(helper_user who, const mailbox_job& job);

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
    std::set<std::pair<std::string, std::string>> commands_; // that ran, and for which address
    std::vector<pending_forward> forwards_;
    std::size_t destinations_ = 0;
    agent_result out_;
};

} // namespace mta::delivery
