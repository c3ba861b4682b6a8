// One SMTP session: the pump between the socket, the protocol (smtp::server_session), the policy and the queue.
//
// One coroutine. 250 for a message is said only after its queue file was flushed, on the disk pool.
#pragma once

#include <memory>
#include <string>

#include <mta/intake/message.hpp>
#include <mta/net/stream.hpp>
#include <mta/policy/access_policy.hpp>
#include <mta/smtp/server_session.hpp>

#include "service_smtpd.hpp"

namespace mta::daemon {

class smtpd_session {
public:
    smtpd_session(std::shared_ptr<smtpd_endpoint> owner, unique_fd socket, bool stress);
    smtpd_session(const smtpd_session&) = delete;
    smtpd_session& operator=(const smtpd_session&) = delete;
    ~smtpd_session();

    // From the greeting to the end of the connection.
    [[nodiscard]] boost::asio::awaitable<void> run();

    // 421 at the next command; at once when the client is silent.
    void stop();

private:
    [[nodiscard]] boost::asio::awaitable<smtp::server_peer> identify();
    [[nodiscard]] std::string count_client(const smtp::server_peer& peer);
    [[nodiscard]] boost::asio::awaitable<void> talk(smtp::server_session& session);
    [[nodiscard]] boost::asio::awaitable<void> read(smtp::server_session& session);
    [[nodiscard]] boost::asio::awaitable<smtp::verdict> ask(smtp::server_session& session);
    [[nodiscard]] boost::asio::awaitable<smtp::verdict> add_recipient(smtp::server_session& session);
    [[nodiscard]] bool add_line_at_once(smtp::server_session& session);
    [[nodiscard]] boost::asio::awaitable<void> add_line(smtp::server_session& session);
    [[nodiscard]] boost::asio::awaitable<smtp::verdict> commit();
    [[nodiscard]] boost::asio::awaitable<smtp::verdict> flush(smtp::server_session& session);
    [[nodiscard]] intake::intake_request describe(const smtp::server_session& session) const;
    void refuse_content(smtp::server_session& session, const error& why) const;
    void write_logs(smtp::server_session& session) const;
    void last_words(std::string_view text) const noexcept;

    std::shared_ptr<smtpd_endpoint> home_;
    std::shared_ptr<smtpd_shared> shared_;
    worker::busy_guard busy_;
    net::stream stream_;
    logger log_;
    const smtp::server_settings& settings_;
    std::string counted_; // the address under which this session counts
    net::socket_address remote_, here_;
    policy::client_facts facts_;
    bool inside_ = false; // in mynetworks
    bool local_rewrite_ = false;
    std::shared_ptr<intake::intake_message> message_;
    smtp::server_session* protocol_ = nullptr; // while it runs
    bool reading_ = false;
};

} // namespace mta::daemon
