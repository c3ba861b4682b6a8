#include <array>

#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/flush_request.hpp>

namespace mta::queue {

namespace {

constexpr std::size_t longest_flush_answer = 65536;

flush_status flush_status_of(long long number) noexcept {
    for (const auto known : {flush_status::done, flush_status::bad_request, flush_status::not_eligible})
        if (number == static_cast<int>(known))
            return known;
    return flush_status::failed;
}

} // namespace

std::string flush_file_request(std::string_view id) {
    return attr_writer().put("request", "send_file").put("queue_id", id).finish();
}

std::string flush_site_request(std::string_view site) {
    return attr_writer().put("request", "send_site").put("site", lower(site)).finish();
}

result<flush_status> ask_flush_service(const std::string& socket, std::string_view request,
                                       std::chrono::milliseconds limit) {
    auto fd = connect_local(socket, limit);
    if (!fd)
        return failure(error{fd.error().code, {}});
    if (auto sent = send_all(fd->get(), request, limit); !sent)
        return fail(mta::errc::closed, "the flush service hung up");
    std::string bytes;
    std::array<char, 1024> chunk{};
    for (;;) {
        std::size_t used = 0;
        if (const auto greeting = attr_list::parse(bytes, &used)) {
            if (greeting->get("protocol") != "queue_flush_protocol")
                return fail(mta::errc::malformed, "the flush service does not speak queue_flush_protocol");
            if (const auto answer = attr_list::parse(std::string_view(bytes).substr(used)))
                return flush_status_of(answer->number("status", static_cast<int>(flush_status::failed)));
        }
        const auto got = receive_some(fd->get(), chunk.data(), chunk.size(), limit);
        if (!got)
            return tl::make_unexpected(got.error());
        if (*got == 0 || bytes.size() > longest_flush_answer)
            return fail(mta::errc::closed, "the flush service hung up");
        bytes.append(chunk.data(), *got);
    }
}

} // namespace mta::queue
