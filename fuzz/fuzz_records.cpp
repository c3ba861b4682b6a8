// Everything of the queue that reads hostile bytes: records, a queue file, logs, names.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <mta/queue/message_log.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/queue/queue_id.hpp>
#include <mta/queue/record.hpp>

namespace {

void read_file(std::string_view input) {
    mta::unique_fd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    if (!fd || ::write(fd.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()))
        return;
    auto file = mta::queue::queue_file::adopt(std::move(fd));
    if (!file)
        return;
    const auto envelope = file->read_envelope();
    if (envelope)
        (void)file->start_content(envelope->data_offset);
    std::string_view line;
    bool unterminated = false;
    std::size_t total = 0;
    for (auto more = file->next_line(line, unterminated); more && *more; more = file->next_line(line, unterminated))
        total += line.size();
    if (total > input.size())
        std::abort(); // the loop guard failed
    if (envelope)
        for (const auto& to : envelope->recipients)
            if (!file->mark_done(to.offset))
                std::abort(); // a recipient that was read can be marked
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (mta::queue::record_reader reader(input); !reader.done();)
        if (!reader.next())
            break;
    read_file(input);
    (void)mta::queue::parse_log(input, mta::queue::directory::defer);
    if (const auto parts = mta::queue::parse_queue_id(input.substr(0, 300)))
        (void)mta::queue::make_queue_id({static_cast<time_t>(parts->seconds), parts->microseconds}, parts->inode,
                                        parts->form);
    (void)mta::queue::hash_directories(input.substr(0, 300), 4);
    return 0;
}
