#include <mta/table/answer_builder.hpp>

namespace mta::table {

result<answer_format> answer_format::read(const client_settings& settings, const std::string& older) {
    const bool by_older_name = !older.empty() && !settings.has("result_format") && settings.has(older);
    auto text = settings.text(by_older_name ? older : "result_format", "%s", 1);
    if (!text)
        return tl::make_unexpected(text.error());
    auto format = query_template::parse(*text, "result", settings.name());
    if (!format)
        return tl::make_unexpected(format.error());
    const auto limit = settings.number("expansion_limit", 0);
    if (!limit)
        return tl::make_unexpected(limit.error());
    return answer_format{std::move(*format), *limit};
}

result<void> answer_builder::add(std::string_view value) {
    // A NUL ends the value, as it would in any other place that reads it.
    value = value.substr(0, value.find('\0'));
    if (value.empty()) {
        ++empty_;
        return {};
    }
    const auto formatted = format_.format.expand(key_, value);
    if (!formatted || formatted->empty())
        return {};
    if (format_.limit > 0 && count_ >= format_.limit)
        return fail(errc::temporary, "expansion limit of " + std::to_string(format_.limit) + " exceeded for key '" +
                                         std::string(key_) + "'");
    if (count_++ > 0)
        out_ += ',';
    out_ += *formatted;
    return {};
}

} // namespace mta::table
