#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>
#include <mta/rewrite/address_words.hpp>

namespace mta::rewrite {

std::vector<std::string> parse_address_words(std::string_view text) { return address::addresses_in(text); }

std::string add_extension(std::string_view address, std::string_view extension) {
    const auto parts = address::split_address(address);
    std::string out(parts.local);
    out += extension;
    if (parts.has_domain)
        out.append("@").append(parts.domain);
    return out;
}

} // namespace mta::rewrite
