// Bodies of addresses.hpp.
#include <mta/intake/addresses.hpp>

#include <utility>

#include <mta/rewrite/canonical.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/rewrite/virtual_alias.hpp>

namespace mta::intake {

namespace {

constexpr rewrite::address_use use_of(address_role role) noexcept {
    switch (role) {
    case address_role::envelope_sender:
        return rewrite::address_use::envelope_sender;
    case address_role::envelope_recipient:
        return rewrite::address_use::envelope_recipient;
    case address_role::header_sender:
        return rewrite::address_use::header_sender;
    case address_role::header_recipient:
        break;
    }
    return rewrite::address_use::header_recipient;
}

} // namespace

struct address_service::impl {
    rewrite::rewriter completer;
    rewrite::canonical mapping;
    rewrite::virtual_alias aliases;
};

address_service::address_service(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
address_service::address_service(address_service&&) noexcept = default;
address_service& address_service::operator=(address_service&&) noexcept = default;
address_service::~address_service() = default;

result<address_service> address_service::open(const configuration& cfg, const logger& log) {
    auto mapping = rewrite::canonical::open(cfg);
    if (!mapping)
        return tl::make_unexpected(mapping.error());
    auto aliases = rewrite::virtual_alias::open(cfg);
    if (!aliases)
        return tl::make_unexpected(aliases.error());
    const auto note = [to = log.with_tag(cfg.text("syslog_name") + "/trivial-rewrite")](const std::string& text) { to.info(text); };
    return address_service(
        std::make_unique<impl>(impl{rewrite::rewriter(cfg, note), std::move(*mapping), std::move(*aliases)}));
}

std::string address_service::complete(std::string_view address) const {
    return impl_->completer.local(address);
}

std::string address_service::complete_with(std::string_view address, std::string_view domain) const {
    return impl_->completer.with_origin(address, domain);
}

bool address_service::has_canonical(address_role role) const noexcept {
    return impl_->mapping.applies(use_of(role));
}

result<std::string> address_service::canonical(std::string_view address, address_role role) {
    return impl_->mapping.map(address, use_of(role));
}

result<std::vector<std::string>> address_service::expand(std::string_view address) {
    if (impl_->aliases.empty())
        return std::vector<std::string>{std::string(address)};
    return impl_->aliases.expand(address);
}

} // namespace mta::intake
