#include <mta/address/tokens.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/local_agent.hpp>
#include <mta/message/header.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::delivery {

result<std::vector<std::string>> delivered_to_headers(int queue_file, long long data_offset) {
    unique_fd copy(::fcntl(queue_file, F_DUPFD_CLOEXEC, 3));
    if (!copy)
        return fail_errno("read message");
    auto file = queue::queue_file::adopt(std::move(copy));
    if (!file)
        return tl::make_unexpected(file.error());
    if (auto started = file->start_content(data_offset); !started)
        return tl::make_unexpected(started.error());
    std::vector<std::string> out;
    std::string_view line;
    bool unterminated = false;
    bool line_start = true;
    bool wanted = false;
    std::string value;
    const auto keep = [&] {
        if (wanted && out.size() < 1000)
            out.push_back(lower(mta::address::first_address(value)));
        wanted = false;
    };
    for (;;) {
        auto more = file->next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more || (line_start && line.empty()))
            break;
        if (line_start && !message::is_continuation(line)) {
            keep();
            const auto name = message::header_name_length(line);
            if (name == 0)
                break;
            wanted = iequals(trim(line.substr(0, name)), "Delivered-To");
            value = wanted ? std::string(line.substr(line.find(':') + 1)) : std::string();
        } else if (wanted && value.size() < 4096) {
            value += line;
        }
        line_start = !unterminated;
    }
    keep();
    return out;
}

} // namespace mta::delivery
