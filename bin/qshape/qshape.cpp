#include "qshape.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/ordered_reading.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/queue/spool.hpp>

namespace mta::qshape {

namespace {

constexpr const char* clear_screen = "\x1b[H\x1b[2J\x1b[3J";

struct waiting {
    long long since = 0;
    std::vector<std::string> addresses; // the sender, or the recipients that are left
};

// Letters and digits, six at least: what the tool has always taken for a message.
bool is_message_name(std::string_view name) {
    if (name.size() < 6)
        return false;
    for (const char c : name)
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    return true;
}

class command {
public:
    command(options opt, std::FILE* out) : opt_(std::move(opt)), out_(out), shape_(opt_.shape), log_("qshape") {}

    int run() {
        auto root = queue_root();
        const bool terminal = ::isatty(::fileno(out_)) != 0;
        if (!terminal) {
            opt_.batch = 0;
            opt_.shape.top = 0;
        }
        batch_ = opt_.json ? 0 : opt_.batch.value_or(1000);
        if (terminal && opt_.shape.top == 0)
            opt_.shape.top = 20;
        shape_ = shape(opt_.shape);
        queue::ordered_reading<waiting> reading(queue::reading_threads(),
                                                [this](const queue::scanned_file& file) { return read(file); });
        for (const auto& name : opt_.queues)
            count(reading, root, name);
        if (opt_.json)
            std::fputs(shape_.json().c_str(), out_);
        else
            show();
        return std::fflush(out_) == 0 ? 0 : 1;
    }

private:
    // Only a queue's name needs the configuration.
    std::string queue_root() {
        bool needed = false;
        for (const auto& name : opt_.queues)
            needed = needed || !name.starts_with('/');
        if (!needed)
            return "/";
        auto where = config::find_directory(opt_.config_directory);
        if (!where)
            log_.fatal(where.error());
        auto cfg = configuration::load(where->directory);
        if (!cfg)
            log_.fatal(cfg.error());
        return (*cfg)[param::queue_directory];
    }

    void count(queue::ordered_reading<waiting>& reading, const std::string& root, const std::string& name) {
        queue::spool_options place;
        place.root = name.starts_with('/') ? "/" : root;
        auto opened = queue::spool::open(place);
        if (!opened) {
            log_.warning(opened.error().text());
            return;
        }
        spool_ = std::move(*opened);
        const auto now = static_cast<long long>(std::time(nullptr));
        auto done = reading.run(queue::scanner(*spool_, name.substr(name.find_first_not_of('/'))), [&](waiting&& one) {
            for (const auto& address : one.addresses)
                shape_.add(address, now - one.since);
            if (batch_ > 0 && ++messages_ % batch_ == 0)
                show();
            return queue::scan_step::go_on;
        });
        if (!done)
            log_.warning(done.error().text());
    }

    // On any thread.
    std::optional<waiting> read(const queue::scanned_file& file) const {
        if (!is_message_name(file.name) || (file.type != DT_REG && file.type != DT_UNKNOWN))
            return std::nullopt;
        constexpr int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        unique_fd fd(::openat(file.directory_fd, file.name.c_str(), flags | O_NOATIME));
        if (!fd && errno == EPERM)
            fd = unique_fd(::openat(file.directory_fd, file.name.c_str(), flags));
        if (!fd)
            return std::nullopt;
        auto opened = queue::queue_file::adopt(std::move(fd));
        if (!opened || (opened->status().st_mode & 0733U) != 0700U)
            return std::nullopt;
        auto envelope = opened->read_envelope({.attributes = false});
        if (!envelope || envelope->recipients.empty())
            return std::nullopt;
        waiting found{static_cast<long long>(envelope->arrival.tv_sec), {}};
        if (opt_.senders)
            found.addresses.push_back(std::move(envelope->sender));
        else
            for (auto& to : envelope->recipients)
                found.addresses.push_back(std::move(to.address));
        return found;
    }

    void show() {
        if (batch_ > 0)
            std::fputs(clear_screen, out_);
        std::fputs(shape_.table().c_str(), out_);
    }

    options opt_;
    std::FILE* out_;
    shape shape_;
    config::command_log log_;
    std::optional<queue::spool> spool_;
    unsigned long batch_ = 0;
    unsigned long messages_ = 0;
};

} // namespace

int run(options opt, std::FILE* out) {
    if (opt.queues.empty())
        opt.queues = {"incoming", "active"};
    return command(std::move(opt), out).run();
}

} // namespace mta::qshape
