// receive_override_options: what a service that takes mail in shall not do with it, because the mail comes back from a
// content filter and had it done before, or will have it done later.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/config/values.hpp>
#include <mta/core/result.hpp>
#include <mta/core/text.hpp>

namespace mta::config {

struct receive_overrides {
    bool unknown_recipient_checks = true; // smtpd: smtpd_reject_unlisted_recipient
    bool address_mappings = true;         // canonical and virtual alias maps, blind copies
    bool header_body_checks = true;
    bool milters = true;

    // Errors: a word that is none of no_unknown_recipient_checks, no_address_mappings, no_header_body_checks and
    // no_milters.
    [[nodiscard]] static result<receive_overrides> read(const configuration& cfg) {
        struct row {
            std::string_view word;
            bool receive_overrides::*done;
        };
        static constexpr row rows[] = {{"no_unknown_recipient_checks", &receive_overrides::unknown_recipient_checks},
                                       {"no_address_mappings", &receive_overrides::address_mappings},
                                       {"no_header_body_checks", &receive_overrides::header_body_checks},
                                       {"no_milters", &receive_overrides::milters}};
        receive_overrides out;
        const std::string text = cfg.text("receive_override_options");
        for (const auto& word : split_list(text)) {
            const auto* found = std::find_if(std::begin(rows), std::end(rows),
                                             [&](const row& one) { return iequals(one.word, word); });
            if (found == std::end(rows))
                return fail(errc::malformed,
                            "unknown receive_override_options value \"" + word + "\" in \"" + text + "\"");
            out.*found->done = false;
        }
        return out;
    }
};

} // namespace mta::config
