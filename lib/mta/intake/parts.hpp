// What an intake_context holds: values that every message needs, read from the configuration once.
#pragma once

#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/intake/addresses.hpp>
#include <mta/intake/context.hpp>
#include <mta/queue/spool.hpp>

namespace mta::intake {

struct intake_context::parts {
    const queue::spool* where;
    logger log;
    address_service addresses;

    long long content_limit; // of the text as queued, half as much again as message_size_limit; 0: none
    long long delay_warning; // seconds, 0: no warning
    std::size_t header_size_limit;
    std::size_t line_length_limit;
    std::size_t duplicate_filter_limit; // 0: none
    std::size_t attribute_limit; // queue_file_attribute_count_limit: of what a client says beside the envelope
    std::size_t token_limit;
    std::size_t mime_nesting_limit;
    std::size_t mime_boundary_limit;
    long long hopcount_limit;
    bool address_mappings; // of what comes through maildrop/: receive_override_options
    bool mime_processing;
    bool always_add_missing;
    bool replace_stray_cr_lf;
    bool smtputf8;
    bool autodetect_local; // 8-bit headers of local mail ask for SMTPUTF8
    bool autodetect_notice;
    bool obsolete_from; // header_from_format
    std::string full_name_charset; // empty: full names go as they are
    std::string myhostname;
    std::string mail_name;
    std::string myorigin;
    std::string undisclosed_header;
    std::string always_bcc;
    std::string empty_recipient;
    std::string remote_domain; // remote_header_rewrite_domain
    std::string content_filter; // of what comes through maildrop/
    std::vector<std::string> drop_headers; // lower case, "other_name" ones too

    [[nodiscard]] bool drops(std::string_view name) const noexcept;
};

} // namespace mta::intake
