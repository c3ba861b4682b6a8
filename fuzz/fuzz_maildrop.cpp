// What any local user may hand in: a stream of records to postdrop, and a file in maildrop/ as pickup finds it.
//
// A stream that postdrop lets through is a file that pickup takes; any other file is taken, kept or set aside, and what is
// taken is a queue file that can be read.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <mta/intake/intake.hpp>
#include <mta/queue/queue_file.hpp>

#include "../bin/postdrop/record_filter.hpp"

using namespace mta;
namespace fs = std::filesystem;

namespace {

class no_log final : public log_sink {
public:
    void write(severity, std::string_view, unsigned long, std::string_view) override {}
};

class place {
public:
    place() {
        const fs::path memory = "/dev/shm";
        std::string pattern = ((fs::exists(memory) ? memory : fs::temp_directory_path()) / "fuzz-maildrop-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        for (const char* name : {"incoming", "maildrop", "corrupt"})
            fs::create_directory(root_ / name);
        auto cfg = configuration::parse("/nowhere",
                                        "myhostname = mx.example.test\nmyorigin = example.test\nmydestination = example.test\n"
                                        "inet_interfaces = 127.0.0.1\nvirtual_alias_maps =\nqueue_directory = " +
                                            root_.string() + "\n",
                                        "main.cf");
        where_.emplace(std::move(*queue::spool::open(queue::spool_options_from(*cfg))));
        context_.emplace(std::move(*intake::intake_context::open(*cfg, *where_, log_)));
    }
    ~place() { fs::remove_all(root_); }
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    intake::pickup_result take(std::string_view bytes) {
        const auto path = root_ / "maildrop" / name_;
        {
            const unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0744));
            if (!fd || ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
                std::abort();
        }
        const auto taken = intake::take_maildrop_file(*context_, log_, *where_, name_);
        if (!taken)
            std::abort();
        const bool gone = taken->result != intake::pickup_result::keep && taken->result != intake::pickup_result::not_ready;
        if (fs::exists(path) == gone)
            std::abort();
        if (taken->result == intake::pickup_result::queued)
            check(taken->queue_id);
        else if (!fs::is_empty(root_ / "incoming"))
            std::abort(); // half a message stays behind
        fs::remove(path);
        fs::remove(root_ / "corrupt" / name_);
        return taken->result;
    }

private:
    void check(const std::string& id) {
        auto file = queue::queue_file::open(*where_, queue::directory::incoming, id);
        const auto envelope = file ? file->read_envelope() : tl::make_unexpected(file.error());
        if (!envelope || envelope->recipients.empty())
            std::abort();
        if (!where_->remove(queue::directory::incoming, id))
            std::abort();
    }

    static constexpr const char* name_ = "ABC123";
    fs::path root_;
    logger log_{std::make_shared<no_log>(), "fuzz"};
    std::optional<queue::spool> where_;
    std::optional<intake::intake_context> context_;
};

// The file that postdrop makes of the stream; nullopt: it makes none.
std::optional<std::string> submitted(std::string_view stream) {
    postdrop::record_filter filter;
    std::string file;
    queue::append_record(file, queue::record_type::time, "1795226788 0");
    while (!stream.empty()) {
        const auto header = queue::parse_record_header(stream, 2048);
        if (!header || !*header || stream.size() - (*header)->header_size < (*header)->length)
            return std::nullopt;
        const auto data = stream.substr((*header)->header_size, (*header)->length);
        switch (filter.judge((*header)->type, data)) {
        case postdrop::ruling::pass:
            queue::append_record(file, (*header)->type, data);
            break;
        case postdrop::ruling::drop:
        case postdrop::ruling::ignore:
        case postdrop::ruling::nameless:
            break;
        case postdrop::ruling::end:
            queue::append_record(file, queue::record_type::end, {});
            return file;
        default:
            return std::nullopt;
        }
        stream.remove_prefix((*header)->header_size + (*header)->length);
    }
    return std::nullopt;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static place at;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    (void)at.take(input);
    if (const auto file = submitted(input); file && at.take(*file) == intake::pickup_result::refused)
        std::abort(); // the sender was told that it is in the queue
    return 0;
}
