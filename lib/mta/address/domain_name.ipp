#include <arpa/inet.h>

#include <string>

#include <mta/address/domain_name.hpp>
#include <mta/core/text.hpp>

namespace mta::address {

bool valid_hostname(std::string_view text) noexcept {
    if (text.empty() || text.size() > 255)
        return false;
    bool all_digits = true;
    std::size_t label = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool digit = c >= '0' && c <= '9';
        if (c == '.') {
            if (label == 0 || text[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_' &&
            (c != '-' || label == 0))
            return false;
        all_digits = all_digits && digit;
        if (++label > 63)
            return false;
    }
    return !all_digits && text.back() != '-';
}

bool valid_domain(std::string_view text) noexcept {
    if (text.empty() || text.front() != '[')
        return valid_hostname(text);
    if (text.size() < 3 || text.size() > 64 || text.back() != ']')
        return false;
    const std::string inner(text.substr(1, text.size() - 2));
    unsigned char bytes[16];
    if (inner.size() > 5 && iequals(std::string_view(inner).substr(0, 5), "IPv6:"))
        return ::inet_pton(AF_INET6, inner.c_str() + 5, bytes) == 1;
    return ::inet_pton(AF_INET, inner.c_str(), bytes) == 1;
}

} // namespace mta::address
