// Trivial rewriting: any address becomes user@domain.
//
// Source routes go, bang paths and the percent hack are resolved (swap_bangpath, allow_percent_hack), $myorigin and
// $mydomain complete what is bare (append_at_myorigin, append_dot_mydomain). Addresses are in internal form. No I/O.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>

namespace mta::rewrite {

class rewriter {
public:
    // note is told when a default of an earlier compatibility_level completes a domain.
    using note_sink = std::function<void(std::string)>;
    explicit rewriter(const config::configuration& cfg, note_sink note = {});

    // With $myorigin and $mydomain: mail of this host.
    [[nodiscard]] std::string local(std::string_view address) const { return rewrite(address, origin_, domain_); }
    // With another domain, and nothing appended to incomplete domains (remote_header_rewrite_domain).
    [[nodiscard]] std::string with_origin(std::string_view address, std::string_view origin) const {
        return rewrite(address, origin, {});
    }

private:
    [[nodiscard]] std::string rewrite(std::string_view address, std::string_view origin,
                                      std::string_view domain) const;

    note_sink note_;
    std::string origin_;
    std::string domain_;
    bool swap_bangpath_;
    bool percent_hack_;
    bool append_origin_;
    bool append_domain_;
};

} // namespace mta::rewrite
