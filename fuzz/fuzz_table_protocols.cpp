// Answers of tables' servers: tcp, socketmap, Redis. No crash, nothing out of its limits, and what was encoded comes back.
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <mta/core/local_socket.hpp>
#include <mta/table/network_protocols.hpp>
#include <mta/table/redis_protocol.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mta::table;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)read_tcp_reply(bytes);
    (void)read_socketmap_reply(bytes);
    if (const auto number = netstring_size(bytes, socketmap_reply_limit); number && *number > socketmap_reply_limit)
        std::abort();
    if (percent_decode(percent_encode(bytes)) != std::string(bytes))
        std::abort();
    auto ends = mta::socket_pair(SOCK_STREAM);
    constexpr std::size_t fits_in_a_socket = 65536;
    if (!ends || size > fits_in_a_socket)
        return 0;
    constexpr std::chrono::milliseconds soon(100);
    (void)mta::send_all(ends->second.get(), bytes, soon);
    ends->second.reset();
    const auto server = client_stream::adopt(std::move(ends->first), soon);
    constexpr std::size_t limit = 1000;
    const auto answer = read_redis_answer(*server, limit);
    std::size_t total = 0;
    for (const auto& value : answer ? answer->values : std::vector<std::string>{})
        total += value.size();
    if (total > limit && !bytes.starts_with('+') && !bytes.starts_with(':'))
        std::abort();
    return 0;
}
