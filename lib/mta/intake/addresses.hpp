// How intake changes addresses: completion to a full address, and expansion of recipients by virtual_alias_maps.
//
// A thin layer over rewrite/, so that the engine knows two questions only. All addresses are in internal form.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/core/result.hpp>

namespace mta::intake {

enum class address_role { envelope_sender, envelope_recipient, header_sender, header_recipient };

class address_service {
public:
    // Errors: a table that cannot be opened. log is told when a default of an earlier compatibility_level completes a
    // domain.
    [[nodiscard]] static result<address_service> open(const configuration& cfg, const logger& log);
    address_service(address_service&&) noexcept;
    address_service& operator=(address_service&&) noexcept;
    ~address_service();

    // The full address for a local context: $myorigin and $mydomain appended, routes and other old forms resolved.
    [[nodiscard]] std::string complete(std::string_view address) const;
    // The same with another domain in place of $myorigin (remote_header_rewrite_domain).
    [[nodiscard]] std::string complete_with(std::string_view address, std::string_view domain) const;

    // canonical_maps and its like. Errors: a table that gives no answer.
    [[nodiscard]] bool has_canonical(address_role role) const noexcept;
    [[nodiscard]] result<std::string> canonical(std::string_view address, address_role role);

    // Who gets what is sent to address: itself when no alias knows it. Errors: errc::temporary when a table gives no
    // answer; errc::too_large when the expansion passes a limit, its detail is for the log.
    [[nodiscard]] result<std::vector<std::string>> expand(std::string_view address);

private:
    struct impl;
    explicit address_service(std::unique_ptr<impl> opened);
    std::unique_ptr<impl> impl_;
};

} // namespace mta::intake
