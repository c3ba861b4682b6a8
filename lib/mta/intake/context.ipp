// Bodies of context.hpp.
#include <mta/config/origin.hpp>
#include <mta/config/receive_overrides.hpp>
#include <mta/intake/context.hpp>

#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/intake/parts.hpp>

namespace mta::intake {

namespace {

std::size_t limit_of(long long value) noexcept {
    return value > 0 ? static_cast<std::size_t>(value) : 0;
}

bool contains(const std::vector<std::string>& words, std::string_view word) noexcept {
    return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace

bool intake_context::parts::drops(std::string_view name) const noexcept {
    for (const auto& dropped : drop_headers)
        if (iequals(dropped, name))
            return true;
    return false;
}

result<intake_context> intake_context::open(const configuration& cfg, const queue::spool& where, logger log) {
    auto addresses = address_service::open(cfg, log);
    if (!addresses)
        return tl::make_unexpected(addresses.error());
    const auto overrides = config::receive_overrides::read(cfg);
    if (!overrides)
        return tl::make_unexpected(overrides.error());
    const bool smtputf8 = cfg[param::smtputf8_enable];
    const auto& classes = cfg[param::smtputf8_autodetect_classes];
    const bool all = contains(classes, "all");
    parts made{
        .where = &where,
        .log = std::move(log),
        .addresses = std::move(*addresses),
        .content_limit = cfg[param::message_size_limit] + cfg[param::message_size_limit] / 2,
        .delay_warning = cfg[param::delay_warning_time].count(),
        .header_size_limit = std::max<std::size_t>(limit_of(cfg[param::header_size_limit]), 1),
        .line_length_limit = std::max<std::size_t>(limit_of(cfg[param::line_length_limit]), 512),
        .duplicate_filter_limit = limit_of(cfg[param::duplicate_filter_limit]),
        .attribute_limit = limit_of(cfg[param::queue_file_attribute_count_limit]),
        .token_limit = limit_of(cfg[param::header_address_token_limit]),
        .mime_nesting_limit = limit_of(cfg[param::mime_nesting_limit]),
        .mime_boundary_limit = limit_of(cfg[param::mime_boundary_length_limit]),
        .hopcount_limit = cfg[param::hopcount_limit],
        .address_mappings = overrides->address_mappings,
        .mime_processing = !cfg[param::disable_mime_input_processing],
        .always_add_missing = cfg[param::always_add_missing_headers],
        .replace_stray_cr_lf = cfg[param::cleanup_replace_stray_cr_lf],
        .smtputf8 = smtputf8,
        .autodetect_local = smtputf8 && (all || contains(classes, "sendmail")),
        .autodetect_notice = smtputf8 && (all || contains(classes, "bounce")),
        .obsolete_from = cfg[param::header_from_format] == "obsolete",
        .full_name_charset = cfg[param::full_name_encoding_charset],
        .myhostname = cfg[param::myhostname],
        .mail_name = cfg[param::mail_name],
        .myorigin = config::mail_origin(cfg),
        .undisclosed_header = cfg[param::undisclosed_recipients_header],
        .always_bcc = cfg[param::always_bcc],
        .empty_recipient = cfg[param::empty_address_recipient],
        .remote_domain = cfg[param::remote_header_rewrite_domain],
        .content_filter = cfg[param::content_filter],
        .drop_headers = cfg[param::message_drop_headers],
    };
    return intake_context(std::make_unique<parts>(std::move(made)));
}

intake_context::intake_context(std::unique_ptr<parts> opened) : parts_(std::move(opened)) {}
intake_context::intake_context(intake_context&&) noexcept = default;
intake_context& intake_context::operator=(intake_context&&) noexcept = default;
intake_context::~intake_context() = default;

void intake_context::use_log(logger log) {
    parts_->log = std::move(log);
}

} // namespace mta::intake
