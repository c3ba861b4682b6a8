#include <algorithm>

#include <mta/address/domain_name.hpp>
#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/config/legacy_default.hpp>
#include <mta/config/receive_overrides.hpp>
#include <mta/core/text.hpp>
#include <mta/policy/access_policy.hpp>
#include <mta/smtp/status.hpp>

namespace mta::policy {

using smtp::check_stage;

// One walk through the lists for one question.
struct access_policy::evaluation {
    const access_policy& rules;
    const smtp::server_session& session;
    const client_facts& facts;
    world& where;
    decision out{};
    bool warn_only = false;
    std::string deferred{}; // defer_if_permit

    enum class outcome { none, permit, refuse };

    // What a rule without an object of its own talks about in this list.
    struct object {
        std::string name;
        std::string_view what;
    };

    std::string bracketed(std::string_view address) const { return "<" + std::string(address) + ">"; }
    object client() const { return {bracketed(session.peer().text()), "Client host"}; }
    object helo() const { return {bracketed(session.helo()), "Helo command"}; }
    object sender() const { return {bracketed(session.transaction().sender), "Sender address"}; }
    object recipient() const { return {bracketed(session.recipient().address), "Recipient address"}; }

    outcome refuse(std::string reply) {
        if (rules.soft_bounce_ && reply.starts_with('5'))
            reply[0] = '4';
        // The enhanced code follows the class of the reply code, which is configurable.
        if (reply.size() > 5 && (reply[4] == '4' || reply[4] == '5') && reply[5] == '.')
            reply[4] = reply[0];
        const std::string id = session.queue_id().empty() ? "NOQUEUE" : session.queue_id();
        const bool warning = std::exchange(warn_only, false);
        const auto stage = session.stage();
        out.logs.push_back(id + (warning ? ": reject_warning: " : ": reject: ") + session.where() + " from " +
                           session.peer().text() + ": " + reply + ";" +
                           session.log_context(stage != check_stage::mail));
        if (warning)
            return outcome::none;
        out.reply = std::move(reply);
        return outcome::refuse;
    }

    outcome refuse(const std::string& code, std::string_view dsn, const object& about, std::string_view why) {
        return refuse(code + " " + std::string(dsn) + " " + about.name + ": " + std::string(about.what) +
                      " rejected: " + std::string(why));
    }

    outcome cannot_tell(std::string_view address, const error& why) {
        out.warnings.push_back(why.text());
        return refuse("451 4.3.0 " + bracketed(address) + ": Temporary lookup failure");
    }

    outcome unauthorized_destination(bool later) {
        const auto& to = session.recipient().address;
        const auto ours = where.is_our_destination(session.transaction().sender, to, out.logs);
        if (!ours)
            return cannot_tell(to, ours.error());
        if (*ours)
            return outcome::none;
        return refuse((later ? "454 4.7.1 " : rules.codes_.relay + " 5.7.1 ") + bracketed(to) +
                      ": Relay access denied");
    }

    outcome non_fqdn_address(const std::string& text, const object& about) {
        const auto parts = address::split_address(text);
        if (text.empty() || (parts.has_domain && qualified(parts.domain)) ||
            (!parts.has_domain && iequals(text, "postmaster") && about.what == "Recipient address"))
            return outcome::none;
        return refuse(rules.codes_.non_fqdn, "5.5.2", about, "need fully-qualified address");
    }

    static bool qualified(std::string_view name) {
        if (!name.empty() && name.front() == '[')
            return true;
        const auto dot = name.find('.');
        return address::valid_hostname(name) && dot != std::string_view::npos && dot + 1 < name.size();
    }

    // Tables are written with recipients in mind, and some codes of RFC 3463 3.2 are about senders only.
    static smtp::status_code address_status(smtp::status_code code, world::address_role role) {
        constexpr int of_senders[] = {0, 7, 8, 7, 7, 0, 7, 7, 8};
        constexpr int of_recipients[] = {0, 1, 2, 3, 4, 5, 6, 3, 2};
        if (code.subject != 1)
            return code;
        const auto at = static_cast<std::size_t>(code.detail);
        if (at >= std::size(of_senders))
            code.detail = 0;
        else
            code.detail = role == world::address_role::sender ? of_senders[at] : of_recipients[at];
        return code;
    }

    outcome unlisted(world::address_role role, std::string_view from, const std::string& address,
                     const object& about, std::string_view dsn) {
        const auto missing = where.unlisted(role, from, address, out.logs);
        if (!missing)
            return cannot_tell(address, missing.error());
        if (!*missing)
            return outcome::none;
        std::string_view why = (*missing)->text;
        std::string status(dsn);
        if (const auto code = smtp::parse_status_code(why)) {
            status = address_status(*code, role).text();
            why = trim(why.substr(smtp::status_code_length(why)));
        }
        return refuse(std::to_string((*missing)->code), status, about, why);
    }

    outcome unlisted_sender() {
        const auto& from = session.transaction().sender;
        // A notice to the sender would come from the recipient.
        return unlisted(world::address_role::sender, session.recipient().address, from, sender(), "5.1.0");
    }

    outcome unlisted_recipient() {
        return unlisted(world::address_role::recipient, session.transaction().sender, session.recipient().address,
                        recipient(), "5.1.1");
    }

    outcome nameless_client(std::string_view what) {
        return refuse((facts.name_trouble ? "450" : rules.codes_.unknown_client) +
                      " 5.7.25 Client host rejected: cannot find your " + std::string(what) + ", [" +
                      session.peer().address + "]");
    }

    outcome apply(const restriction& r, const object& about) {
        const auto& name = session.peer().name;
        switch (r.what) {
        case rule::permit:
            return outcome::permit;
        case rule::reject:
            return refuse(rules.codes_.access_denied, "5.7.1", about, "Access denied");
        case rule::defer:
            return refuse(rules.codes_.try_later, "4.3.2", about, "Try again later");
        case rule::defer_if_permit:
            deferred = "450 4.7.0 " + about.name + ": " + std::string(about.what) +
                       " rejected: defer_if_permit requested";
            return outcome::none;
        case rule::permit_mynetworks: {
            const auto inside = where.in_mynetworks(name, session.peer().address, out.logs);
            if (!inside)
                return cannot_tell(session.peer().text(), inside.error());
            return *inside ? outcome::permit : outcome::none;
        }
        case rule::permit_auth_destination: {
            const auto ours = session.recipient().address.empty()
                                  ? result<bool>(false)
                                  : where.is_our_destination(session.transaction().sender,
                                                             session.recipient().address, out.logs);
            if (!ours)
                return cannot_tell(session.recipient().address, ours.error());
            return *ours ? outcome::permit : outcome::none;
        }
        case rule::reject_unauth_destination:
        case rule::defer_unauth_destination:
            return has_recipient() ? unauthorized_destination(r.what == rule::defer_unauth_destination)
                                   : outcome::none;
        case rule::reject_unauth_pipelining:
            return facts.pipelined ? refuse("503", "5.5.0", about, "Improper use of SMTP command pipelining")
                                   : outcome::none;
        case rule::reject_unknown_client_hostname:
            if (name != "unknown")
                return outcome::none;
            return nameless_client("hostname");
        case rule::reject_unknown_reverse_client_hostname:
            if (facts.reverse_name != "unknown")
                return outcome::none;
            return nameless_client("reverse hostname");
        case rule::reject_invalid_helo_hostname:
        case rule::reject_non_fqdn_helo_hostname:
            return check_helo(r.what == rule::reject_non_fqdn_helo_hostname);
        case rule::reject_non_fqdn_sender:
            return has_sender() ? non_fqdn_address(session.transaction().sender, sender()) : outcome::none;
        case rule::reject_unlisted_sender:
            return has_sender() && !session.transaction().sender.empty()
                       ? unlisted_sender()
                       : outcome::none;
        case rule::reject_non_fqdn_recipient:
            return has_recipient() ? non_fqdn_address(session.recipient().address, recipient())
                                   : outcome::none;
        case rule::reject_unlisted_recipient:
            return has_recipient() ? unlisted_recipient() : outcome::none;
        case rule::reject_multi_recipient_bounce:
            return has_sender() && session.transaction().sender.empty() &&
                           session.transaction().recipients > 1
                       ? refuse(rules.codes_.multi_recipient_bounce, "5.5.3", {"<>", "Sender address"},
                                "Multi-recipient bounce")
                       : outcome::none;
        case rule::permit_sasl_authenticated: // nobody authenticates yet
        case rule::permit_tls_clients:
        case rule::warn_if_reject:
            return outcome::none;
        }
        return outcome::none;
    }

    [[nodiscard]] bool has_sender() const {
        return session.stage() >= check_stage::mail && session.stage() <= check_stage::end_of_data;
    }
    [[nodiscard]] bool has_recipient() const {
        return session.stage() == check_stage::recipient || session.stage() == check_stage::vrfy;
    }

    outcome check_helo(bool fully_qualified) {
        const std::string& name = session.helo();
        if (name.empty())
            return outcome::none;
        if (name.front() == '[') {
            return address::valid_domain(name)
                       ? outcome::none
                       : refuse(rules.codes_.invalid_hostname, "5.5.2", helo(), "invalid ip address");
        }
        if (fully_qualified)
            return qualified(name)
                       ? outcome::none
                       : refuse(rules.codes_.non_fqdn, "5.5.2", helo(), "need fully-qualified hostname");
        return address::valid_hostname(name)
                   ? outcome::none
                   : refuse(rules.codes_.invalid_hostname, "5.5.2", helo(), "Invalid name");
    }

    // False when the answer is a refusal.
    bool walk(const restriction_list& list, const object& about) {
        for (const auto& r : list) {
            if (r.what == rule::warn_if_reject) {
                warn_only = true;
                continue;
            }
            const auto got = apply(r, about);
            warn_only = false;
            if (got == outcome::refuse)
                return false;
            if (got == outcome::permit)
                break;
        }
        return true;
    }

    void note(std::string_view setting, const std::string& purpose) {
        out.logs.push_back(config::legacy_default_note(setting, purpose));
    }

    void note_utf8(std::string_view role, const std::string& address) {
        if (rules.legacy_.no_smtputf8 && std::ranges::any_of(address, [](char c) { return (c & 0x80) != 0; }))
            note("smtputf8_enable=no", "accept non-ASCII " + std::string(role) + " address \"" + address + "\" from " +
                                           session.peer().text());
    }

    bool at_recipient() {
        // RFC 5321 4.5.1: a bare "postmaster" is always taken.
        if (iequals(session.recipient().address, "postmaster"))
            return true;
        if (rules.delay_reject_ &&
            !(walk(rules.client_, client()) && walk(rules.helo_, helo()) && walk(rules.sender_, sender())))
            return false;
        const auto& first = rules.relay_first_ ? rules.relay_ : rules.recipient_;
        const auto& second = rules.relay_first_ ? rules.recipient_ : rules.relay_;
        if (!walk(first, recipient())) {
            if (rules.legacy_.recipient_before_relay)
                note("smtpd_relay_before_recipient_restrictions=no",
                     "reject recipient \"" + session.recipient().address + "\" from client \"" + session.peer().text() +
                         "\"");
            return false;
        }
        if (!walk(second, recipient()))
            return false;
        if (rules.unlisted_sender_ && session.stage() == check_stage::recipient &&
            !session.transaction().sender.empty() &&
            unlisted_sender() == outcome::refuse)
            return false;
        return !rules.unlisted_recipient_ ||
               unlisted_recipient() != outcome::refuse;
    }

    bool run() {
        switch (session.stage()) {
        case check_stage::connect:
            return rules.delay_reject_ || walk(rules.client_, client());
        case check_stage::helo:
            return rules.delay_reject_ || walk(rules.helo_, helo());
        case check_stage::mail:
            note_utf8("sender", session.transaction().sender);
            return rules.delay_reject_ || walk(rules.sender_, sender());
        case check_stage::recipient:
            note_utf8("recipient", session.recipient().address);
            return at_recipient();
        case check_stage::vrfy:
            return at_recipient();
        case check_stage::data:
            return walk(rules.data_, {"<DATA>", "Data command"});
        case check_stage::end_of_data:
            return walk(rules.end_of_data_, {"<END-OF-MESSAGE>", "End-of-data"});
        case check_stage::etrn:
            return (!rules.delay_reject_ || (walk(rules.client_, client()) && walk(rules.helo_, helo()))) &&
                   walk(rules.etrn_, {bracketed(session.etrn_domain()), "Etrn command"});
        }
        return true;
    }
};

decision access_policy::check(const smtp::server_session& session, const client_facts& facts,
                              world& where) const {
    evaluation one{*this, session, facts, where};
    if (one.run() && !one.deferred.empty())
        (void)one.refuse(std::move(one.deferred));
    return std::move(one.out);
}

result<access_policy> access_policy::open(const config::configuration& cfg) {
    access_policy out;
    struct row {
        std::string_view name;
        restriction_list* list;
        config::list_param key;
    };
    const row rows[] = {
        {"smtpd_client_restrictions", &out.client_, param::smtpd_client_restrictions},
        {"smtpd_helo_restrictions", &out.helo_, param::smtpd_helo_restrictions},
        {"smtpd_sender_restrictions", &out.sender_, param::smtpd_sender_restrictions},
        {"smtpd_relay_restrictions", &out.relay_, param::smtpd_relay_restrictions},
        {"smtpd_recipient_restrictions", &out.recipient_, param::smtpd_recipient_restrictions},
        {"smtpd_data_restrictions", &out.data_, param::smtpd_data_restrictions},
        {"smtpd_end_of_data_restrictions", &out.end_of_data_, param::smtpd_end_of_data_restrictions},
        {"smtpd_etrn_restrictions", &out.etrn_, param::smtpd_etrn_restrictions},
    };
    for (const auto& r : rows) {
        auto list = parse_restrictions(r.name, cfg[r.key]);
        if (!list)
            return failure(std::move(list.error()));
        *r.list = std::move(*list);
    }
    const restriction_list* guards[] = {&out.relay_, &out.recipient_};
    if (!refuses_relaying(guards))
        return fail(errc::not_permitted,
                    "smtpd_relay_restrictions or smtpd_recipient_restrictions must name at least one of: "
                    "reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit");
    const auto code = [&](config::integer_param key) { return std::to_string(cfg[key]); };
    out.codes_ = {code(param::reject_code),
                  code(param::defer_code),
                  code(param::relay_domains_reject_code),
                  code(param::unknown_client_reject_code),
                  code(param::invalid_hostname_reject_code),
                  code(param::non_fqdn_reject_code),
                  code(param::multi_recipient_bounce_reject_code)};
    out.delay_reject_ = cfg[param::smtpd_delay_reject];
    out.relay_first_ = cfg[param::smtpd_relay_before_recipient_restrictions];
    const auto overrides = config::receive_overrides::read(cfg);
    if (!overrides)
        return tl::make_unexpected(overrides.error());
    out.unlisted_recipient_ = cfg[param::smtpd_reject_unlisted_recipient] && overrides->unknown_recipient_checks;
    out.unlisted_sender_ = cfg[param::smtpd_reject_unlisted_sender];
    out.soft_bounce_ = cfg[param::soft_bounce];
    out.legacy_ = {config::has_legacy_default(cfg, "smtpd_relay_before_recipient_restrictions", "3.6"),
                   config::has_legacy_default(cfg, "smtputf8_enable", "1")};
    return out;
}

} // namespace mta::policy
