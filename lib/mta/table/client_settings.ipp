#include <mta/core/text.hpp>
#include <mta/table/client_settings.hpp>

namespace mta::table {

std::string client_settings::complaint(std::string_view what, const std::string& parameter,
                                       std::string_view value) const {
    const bool file = is_file(name_);
    return (file ? name_ + ": " : std::string()) + std::string(what) + ": " + (file ? "" : name_ + "_") + parameter +
           " = " + std::string(value);
}

result<std::string> client_settings::text(const std::string& parameter, std::string_view otherwise,
                                          std::size_t least) const {
    auto value = read_(parameter).value_or(std::string(otherwise));
    if (value.size() < least)
        return fail(errc::malformed, complaint("bad string length " + std::to_string(value.size()) + " < " +
                                                   std::to_string(least), parameter, value));
    return value;
}

result<long long> client_settings::number(const std::string& parameter, long long otherwise, long long low,
                                          long long high) const {
    const auto value = read_(parameter);
    if (!value)
        return otherwise;
    const auto number = parse_integer(*value);
    if (!number)
        return fail(errc::malformed, complaint("bad numerical configuration", parameter, *value));
    if (*number < low || *number > high) {
        const bool file = is_file(name_);
        return fail(errc::malformed, (file ? name_ + ": " : std::string()) + "invalid " + (file ? "" : name_ + "_") +
                                         parameter + " parameter value " + *value + (*number < low ? " < " : " > ") +
                                         std::to_string(*number < low ? low : high));
    }
    return *number;
}

result<bool> client_settings::yes_no(const std::string& parameter, bool otherwise) const {
    const auto value = read_(parameter);
    if (!value)
        return otherwise;
    if (iequals(*value, "yes"))
        return true;
    if (iequals(*value, "no"))
        return false;
    return fail(errc::malformed, complaint("bad boolean configuration", parameter, *value));
}

} // namespace mta::table
