// DNS answers of any kind: no crash, records within their limits, names without bytes that mislead.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <mta/net/dns_message.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mta::net;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const auto type : {dns_type::a, dns_type::aaaa, dns_type::mx, dns_type::ptr, dns_type::txt}) {
        const auto answer = parse_dns_answer(bytes, "example.com", type);
        if (!answer)
            continue;
        if (answer->records.size() > dns_record_limit)
            std::abort();
        for (const auto& record : answer->records) {
            if (type == dns_type::a && record.data.size() != 4)
                std::abort();
            if (type == dns_type::aaaa && record.data.size() != 16)
                std::abort();
            if (type == dns_type::mx && record.data.size() > 255)
                std::abort();
        }
    }
    return 0;
}
