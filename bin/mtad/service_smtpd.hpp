// The smtpd service: accepts SMTP sessions on the listeners of one line of master.cf and puts mail into the
// queue.
//
// Touches: its listeners, incoming/ (through intake), DNS for client names. Runs as mail_owner. One coroutine
// a session over smtp::server_session; a message is answered 250 after its queue file was flushed, on the
// disk pool.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include <mta/intake/context.hpp>
#include <mta/policy/access_policy.hpp>
#include <mta/policy/world.hpp>
#include <mta/rewrite/flush_sites.hpp>
#include <mta/smtp/server_settings.hpp>

#include "client_names.hpp"
#include "worker.hpp"

namespace mta::daemon {

// What all sessions of the worker share.
struct smtpd_shared {
    smtpd_shared(worker& w, intake::intake_context c, net::resolver r)
        : owner(w), context(std::move(c)), names(std::move(r)) {}

    worker& owner;
    intake::intake_context context;
    client_names names;
    std::string cleanup_tag;
};

class smtpd_session;

class smtpd_endpoint : public std::enable_shared_from_this<smtpd_endpoint> {
public:
    [[nodiscard]] static result<std::shared_ptr<smtpd_endpoint>> open(std::shared_ptr<smtpd_shared> shared,
                                                                      endpoint where);
    void start();

private:
    friend class smtpd_session;
    smtpd_endpoint(std::shared_ptr<smtpd_shared> shared, endpoint where, policy::access_policy policy)
        : shared_(std::move(shared)), where_(std::move(where)), policy_(std::move(policy)) {}

    struct listener;
    [[nodiscard]] boost::asio::awaitable<void> accept_loop(std::shared_ptr<listener> socket);
    [[nodiscard]] bool full() const noexcept {
        return where_.process_limit > 0 && active_ >= where_.process_limit;
    }
    [[nodiscard]] std::string storage_trouble();
    void stop(); // accepts nobody new
    void end_sessions();
    void tell_room();

    std::shared_ptr<smtpd_shared> shared_;
    endpoint where_;
    policy::access_policy policy_;
    std::unique_ptr<policy::world> world_;
    std::shared_ptr<rewrite::flush_sites> flush_sites_; // for ETRN
    smtp::server_settings settings_, stress_settings_;
    std::vector<std::shared_ptr<listener>> listeners_;
    std::set<smtpd_session*> sessions_; // those that a stop must wake
    std::unordered_map<std::string, int> clients_; // sessions by address
    int active_ = 0;
    long long connection_limit_ = 50;
    long long minimum_free_ = 0;
    bool peername_lookup_ = true;
    bool address_mappings_ = true; // receive_override_options
    bool newline_exclusions_ = false;
    std::vector<std::string> own_addresses_;
    bool local_interfaces_ = false, local_networks_ = false; // local_header_rewrite_clients
    std::chrono::steady_clock::time_point storage_checked_{};
    std::string storage_trouble_;
};

} // namespace mta::daemon
