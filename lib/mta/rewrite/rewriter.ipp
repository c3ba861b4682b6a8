#include <mta/address/parts.hpp>
#include <mta/config/origin.hpp>
#include <mta/rewrite/rewriter.hpp>

namespace mta::rewrite {

rewriter::rewriter(const config::configuration& cfg)
    : origin_(config::mail_origin(cfg)), domain_(cfg.text("mydomain")),
      swap_bangpath_(cfg.yes_no("swap_bangpath").value_or(true)),
      percent_hack_(cfg.yes_no("allow_percent_hack").value_or(true)),
      append_origin_(cfg.yes_no("append_at_myorigin").value_or(true)),
      append_domain_(cfg.yes_no("append_dot_mydomain").value_or(false)) {}

std::string rewriter::rewrite(std::string_view address, std::string_view origin, std::string_view domain) const {
    // The null address and "postmaster"-like words without any domain are told apart by their callers.
    if (address.empty())
        return {};
    std::string out(address);
    // "@a,@b:user@c": what is before the last colon is a route (RFC 5321 appendix C).
    if (out.front() == '@')
        if (const auto colon = out.find(':'); colon != std::string::npos && colon + 1 < out.size())
            out.erase(0, colon + 1);
    auto parts = address::split_address(out);
    if (!parts.has_domain && swap_bangpath_) {
        // site!user: the site is the domain.
        if (const auto bang = out.find('!'); bang != std::string::npos && bang > 0 && bang + 1 < out.size())
            out = out.substr(bang + 1) + "@" + out.substr(0, bang);
    }
    parts = address::split_address(out);
    if (!parts.has_domain && percent_hack_) {
        if (const auto percent = out.rfind('%'); percent != std::string::npos && percent > 0 && percent + 1 < out.size())
            out[percent] = '@';
    }
    parts = address::split_address(out);
    if (!parts.has_domain) {
        if (append_origin_ && !origin.empty())
            out.append("@").append(origin);
        return out;
    }
    if (parts.domain.ends_with('.'))
        out.pop_back(); // "host." is complete: only the dot goes
    else if (append_domain_ && !domain.empty() && !parts.domain.empty() && parts.domain.front() != '[' &&
             parts.domain.find('.') == std::string_view::npos)
        out.append(".").append(domain);
    return out;
}

} // namespace mta::rewrite
