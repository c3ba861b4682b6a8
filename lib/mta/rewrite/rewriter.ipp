#include <mta/address/parts.hpp>
#include <mta/config/legacy_default.hpp>
#include <mta/config/origin.hpp>
#include <mta/rewrite/rewriter.hpp>

namespace mta::rewrite {

rewriter::rewriter(const config::configuration& cfg, note_sink note)
    : note_(config::has_legacy_default(cfg, "append_dot_mydomain", "1") ? std::move(note) : nullptr), origin_(config::mail_origin(cfg)), domain_(cfg.text("mydomain")),
      swap_bangpath_(cfg.yes_no("swap_bangpath").value_or(true)),
      percent_hack_(cfg.yes_no("allow_percent_hack").value_or(true)),
      append_origin_(cfg.yes_no("append_at_myorigin").value_or(true)),
      append_domain_(cfg.yes_no("append_dot_mydomain").value_or(false)) {}

std::string rewriter::rewrite(std::string_view address, std::string_view origin, std::string_view domain) const {
    if (address.empty())
        return {};
    std::string out(address);
    // "@a,@b:user@c": what is before the first colon is a route (RFC 5321 appendix C).
    if (out.front() == '@')
        if (const auto colon = out.find(':'); colon != std::string::npos)
            out.erase(0, colon + 1);
    if (out.find('@') == std::string::npos) {
        const auto bang = swap_bangpath_ ? out.find('!') : std::string::npos;
        const auto percent = percent_hack_ ? out.rfind('%') : std::string::npos;
        if (bang != std::string::npos) // site!user: the site is the domain
            out = out.substr(bang + 1) + "@" + out.substr(0, bang);
        else if (percent != std::string::npos)
            out[percent] = '@';
        else if (append_origin_ && !origin.empty())
            out.append("@").append(origin);
    }
    const auto parts = address::split_address(out);
    if (!parts.has_domain)
        return out;
    const auto size = parts.domain.size();
    if (parts.domain.ends_with('.')) {
        // "host." is complete: only the dot goes. An empty label stays to be seen in the complaint about it.
        if (size > 1 && parts.domain[size - 2] != '.')
            out.pop_back();
    } else if (append_domain_ && !domain.empty() && size > 0 && parts.domain.front() != '[' &&
               parts.domain.find('.') == std::string_view::npos) {
        const std::string host(parts.domain);
        out.append(".").append(domain);
        if (note_)
            note_(config::legacy_default_note("append_dot_mydomain=yes", "rewrite \"" + host + "\" to \"" + host + "." +
                                                                             std::string(domain) + "\""));
    }
    return out;
}

} // namespace mta::rewrite
