// Address headers: any bytes become a list, the list a text, and the text the same number of addresses again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <mta/address/parts.hpp>
#include <mta/address/tokens.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view value(reinterpret_cast<const char*>(data), size);
    const auto items = mta::address::parse_addresses(value, 2000);
    const auto text = mta::address::format_addresses(items);
    (void)mta::address::addresses_in(text);
    for (const auto& item : items) {
        if (item.kind != mta::address::item_kind::address)
            continue;
        const auto internal = mta::address::unquote(item.text);
        const auto external = mta::address::quote(internal);
        // Quoting an internal address and taking the quotes off again gives the address.
        if (mta::address::unquote(external) != internal && internal.find('@') != std::string::npos)
            __builtin_trap();
        (void)mta::address::split_extension(mta::address::split_address(internal).local, "+-");
    }
    return 0;
}
