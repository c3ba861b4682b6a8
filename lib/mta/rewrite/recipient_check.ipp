#include <mta/address/parts.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/canonical.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/recipient_check.hpp>
#include <mta/rewrite/virtual_alias.hpp>
#include <mta/table/address_lookup.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/maps.hpp>

namespace mta::rewrite {

struct recipient_check::parts {
    parts(const config::configuration& configured, domain_classes opened, virtual_alias aliased,
          canonical mapped)
        : cfg(configured), domains(std::move(opened)), aliases(std::move(aliased)),
          mapping(std::move(mapped)) {}

    result<bool> listed(table::maps& tables, std::string_view address, bool bare_user);
    result<bool> aliased(std::string_view address, bool sender);
    bool always_taken(std::string_view address) const;
    recipient_verdict refused_by_route(const route& where) const;
    recipient_verdict unknown(address_class kind, const char* code_parameter, const char* table_name) const;

    config::configuration cfg;
    domain_classes domains;
    virtual_alias aliases;
    canonical mapping;
    table::maps local;
    table::maps mailboxes;
    table::maps relay;
};

recipient_check::recipient_check(std::unique_ptr<parts> opened) : parts_(std::move(opened)) {}
recipient_check::recipient_check(recipient_check&&) noexcept = default;
recipient_check& recipient_check::operator=(recipient_check&&) noexcept = default;
recipient_check::~recipient_check() = default;

result<recipient_check> recipient_check::open(const config::configuration& cfg) {
    auto domains = domain_classes::open(cfg);
    auto aliases = virtual_alias::open(cfg);
    auto mapping = canonical::open(cfg);
    if (!domains || !aliases || !mapping)
        return tl::make_unexpected(!domains ? domains.error() : !aliases ? aliases.error() : mapping.error());
    auto opened = std::make_unique<parts>(cfg, std::move(*domains), std::move(*aliases), std::move(*mapping));
    for (auto [into, name] : {std::pair{&opened->local, "local_recipient_maps"},
                              {&opened->mailboxes, "virtual_mailbox_maps"},
                              {&opened->relay, "relay_recipient_maps"}}) {
        auto tables = table::maps::open(name, config::split_list(cfg.text(name)));
        if (!tables)
            return tl::make_unexpected(tables.error());
        *into = std::move(*tables);
    }
    return recipient_check(std::move(opened));
}

result<bool> recipient_check::parts::listed(table::maps& tables, std::string_view address, bool bare_user) {
    table::address_lookup_options options;
    options.recipient_delimiter = cfg.text("recipient_delimiter");
    options.bare_user = bare_user;
    options.is_ours = [this](std::string_view domain) { return domains.has_bare_users(domain); };
    auto found = table::find_address(tables, address, options);
    if (!found)
        return tl::make_unexpected(found.error());
    return found->has_value();
}

// Such an address becomes another one when the mail is taken: whether that exists is found out then.
result<bool> recipient_check::parts::aliased(std::string_view address, bool sender) {
    auto mapped = mapping.knows(address, sender);
    if (!mapped || *mapped)
        return mapped;
    return aliases.knows(address);
}

// RFC 5321 4.5.1, and the senders of our own notices.
bool recipient_check::parts::always_taken(std::string_view address) const {
    const auto user = address::split_address(address).local;
    return iequals(user, "postmaster") || iequals(user, "mailer-daemon") ||
           iequals(user, cfg.text("double_bounce_sender"));
}

recipient_verdict recipient_check::parts::refused_by_route(const route& where) const {
    recipient_verdict out;
    out.known = false;
    out.kind = where.kind;
    if (where.transport == "retry")
        out.code = 450;
    else if (where.kind == address_class::virtual_alias)
        out.code = static_cast<int>(cfg.number("unknown_virtual_alias_reject_code").value_or(550));
    out.text = where.nexthop;
    return out;
}

recipient_verdict recipient_check::parts::unknown(address_class kind, const char* code_parameter,
                                                  const char* table_name) const {
    recipient_verdict out;
    out.known = false;
    out.kind = kind;
    out.code = static_cast<int>(cfg.number(code_parameter).value_or(550));
    out.text = "User unknown";
    if (cfg.yes_no("show_user_unknown_table_name").value_or(true))
        out.text.append(" in ").append(table_name);
    return out;
}

result<recipient_verdict> recipient_check::check(const route& where, bool sender) {
    auto& p = *parts_;
    recipient_verdict good;
    good.kind = where.kind;
    // Tables of patterns see it in lower case too, unlike when mail is routed: as the reference has it.
    const auto address = table::folded_key(where.recipient, table::current_utf8() && is_utf8(where.recipient));
    auto other = p.aliased(address, sender);
    if (!other)
        return tl::make_unexpected(other.error());
    if (*other)
        return good;
    if ((where.transport == "error" || where.transport == "retry") && !where.malformed)
        return p.refused_by_route(where);
    struct row {
        address_class kind;
        table::maps* tables;
        bool bare_user;
        const char* code_parameter;
        const char* table_name;
    };
    const row rows[] = {
        {address_class::local, &p.local, true, "unknown_local_recipient_reject_code",
         "local recipient table"},
        {address_class::virtual_mailbox, &p.mailboxes, false, "unknown_virtual_mailbox_reject_code",
         "virtual mailbox table"},
        {address_class::relay, &p.relay, false, "unknown_relay_recipient_reject_code",
         "relay recipient table"},
    };
    for (const auto& r : rows) {
        // An empty parameter means that every address is taken.
        if (r.kind != where.kind || r.tables->empty())
            continue;
        if (r.kind == address_class::local && p.always_taken(where.recipient))
            return good;
        auto found = p.listed(*r.tables, address, r.bare_user);
        if (!found)
            return tl::make_unexpected(found.error());
        if (!*found)
            return p.unknown(r.kind, r.code_parameter, r.table_name);
    }
    return good;
}

} // namespace mta::rewrite
