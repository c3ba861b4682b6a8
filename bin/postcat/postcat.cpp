#include "postcat.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/record_file.hpp>
#include <mta/queue/size_record.hpp>
#include <mta/queue/spool.hpp>

#include "message_printer.hpp"
#include "record_printer.hpp"

namespace mta::postcat {

namespace {

// A pipe has no offsets to go back to: its bytes are kept in memory.
result<unique_fd> seekable(int fd) {
    if (::lseek(fd, 0, SEEK_CUR) >= 0) {
        const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return copy >= 0 ? result<unique_fd>(unique_fd(copy)) : fail_errno("read stdin");
    }
    unique_fd memory(::memfd_create("postcat", MFD_CLOEXEC));
    if (!memory)
        return fail_errno("read stdin");
    std::array<char, 65536> chunk{};
    for (;;) {
        const auto got = ::read(fd, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read stdin");
        if (got == 0)
            return memory;
        if (auto kept = write_all(memory.get(), {chunk.data(), static_cast<std::size_t>(got)}); !kept)
            return tl::make_unexpected(kept.error());
    }
}

class command {
public:
    command(options opt, std::FILE* out) : opt_(std::move(opt)), out_(out), log_("postcat") {}

    int run() {
        auto where = config::find_directory(opt_.config_directory);
        if (!where)
            fatal(where.error().text());
        auto cfg = configuration::load(where->directory);
        if (!cfg)
            fatal(cfg.error().text());
        log_.use_checked(*cfg, config::mail_log::optional);
        if (opt_.queue_ids)
            open_spool(*cfg);
        if (opt_.files.empty()) {
            auto fd = seekable(STDIN_FILENO);
            if (!fd)
                fatal(fd.error().text());
            show(std::move(*fd), "stdin");
        }
        for (const auto& file : opt_.files)
            opt_.queue_ids ? show_id(file) : show_path(file);
        return std::fflush(out_) == 0 ? 0 : 1;
    }

private:
    [[noreturn]] void fatal(const std::string& text) {
        std::fflush(out_);
        log_.fatal(text);
    }

    void open_spool(const configuration& cfg) {
        auto opened = queue::spool::open(queue::spool_options_from(cfg));
        if (!opened)
            fatal(opened.error().text());
        spool_ = std::move(*opened);
    }

    void show_id(const std::string& id) {
        using queue::directory;
        if (!queue::is_valid_queue_id(id))
            fatal("bad mail queue ID: " + printable(id));
        for (const auto which : {directory::maildrop, directory::incoming, directory::active, directory::deferred,
                                 directory::hold, directory::saved}) {
            auto fd = spool_->open_file(which, id, O_RDONLY);
            if (fd) {
                show(std::move(*fd), spool_->relative_path(which, id));
                return;
            }
            if (fd.error().code != std::errc::no_such_file_or_directory)
                fatal("open queue file " + id + ": " + fd.error().code.message());
        }
        fatal("open queue file " + id + ": No such file or directory");
    }

    void show_path(const std::string& path) {
        auto fd = open_file(path, O_RDONLY);
        if (!fd)
            fatal("open " + path + ": " + fd.error().code.message());
        show(std::move(*fd), path);
    }

    void show(unique_fd fd, const std::string& name) {
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0)
            fatal("open " + name + ": " + std::string(std::generic_category().message(errno)));
        if (S_ISDIR(status.st_mode)) {
            log_.warning("close " + name + ": Is a directory");
            return;
        }
        if (!S_ISREG(status.st_mode)) {
            auto copy = seekable(fd.get());
            if (!copy || ::fstat(copy->get(), &status) != 0)
                fatal("read " + name);
            // A device that can seek has no size; there is nothing to show of it.
            fd = std::move(*copy);
        }
        if (opt_.json || opt_.message)
            show_message(std::move(fd), name);
        else
            show_records(fd.get(), status.st_size, name);
    }

    // --json and --raw.
    void show_message(unique_fd fd, const std::string& name) {
        auto file = queue::queue_file::adopt(std::move(fd));
        if (!file)
            fatal(name + ": " + file.error().text());
        const bool envelope_only = !opt_.header && !opt_.body;
        const auto done = opt_.json ? print_json(*file, name, envelope_only, out_) : print_raw(*file, out_);
        if (!done)
            fatal(name + ": " + done.error().text());
    }

    void show_records(int fd, long long size, const std::string& name) {
        if (size == 0)
            return;
        char first = 0;
        if (opt_.start == 0 && (::pread(fd, &first, 1, 0) != 1 ||
                                std::string_view("MCTcFILSDRO/WVA>K<ionpw").find(first) == std::string_view::npos)) {
            log_.warning(name + ": input is not a valid queue file");
            return;
        }
        const auto out = [this](std::string_view text) { std::fwrite(text.data(), 1, text.size(), out_); };
        const auto warn = [this](std::string_view text) {
            std::fflush(out_);
            log_.warning(text);
        };
        record_printer printer(opt_, name, out, warn);
        printer.begin();
        queue::record_file records(fd, size, opt_.verbose > 0 ? queue::pointers::hand_out : queue::pointers::follow);
        records.seek(opt_.start);
        queue::size_record text;
        long long jumps = 0;
        for (;;) {
            const auto offset = records.offset();
            auto record = records.next();
            if (!record) {
                warn(name + ": " + record.error().text());
                fatal("record read error");
            }
            if (!*record || !printer.print(**record, offset))
                return;
            if ((*record)->type == queue::record_type::size && offset == 0)
                text = queue::parse_size_record((*record)->data).value_or(queue::size_record{});
            if ((*record)->type == queue::record_type::message && !opt_.header && !opt_.body)
                skip_text(records, text);
            if ((*record)->type == queue::record_type::pointer && !opt_.raw && ++jumps <= size)
                follow(records, **record, name);
        }
    }

    // Goes to the end of the message text when the size record knows it: the pieces that a filter put elsewhere are
    // not looked for.
    static void skip_text(queue::record_file& records, const queue::size_record& text) {
        const auto end = text.data_offset + text.content_size;
        if (text.data_offset <= 0 || text.content_size < 0 || end >= records.size())
            return;
        const auto back = records.offset();
        records.seek(end);
        const auto found = records.next();
        records.seek(found && *found && (*found)->type == queue::record_type::extracted ? end : back);
    }

    // With -v pointers are shown, and followed all the same unless -r asks for the order in the file.
    void follow(queue::record_file& records, const queue::file_record& pointer, const std::string& name) {
        const auto target = queue::parse_pointer(pointer.data);
        if (!target || *target >= records.size()) {
            log_.warning(name + ": bad pointer record");
            fatal("record read error");
        }
        if (*target > 0)
            records.jump(*target);
    }

    options opt_;
    std::FILE* out_;
    config::command_log log_;
    std::optional<queue::spool> spool_;
};

} // namespace

int run(options opt, std::FILE* out) {
    if (!opt.envelope && !opt.header && !opt.body)
        opt.envelope = opt.header = opt.body = true;
    return command(std::move(opt), out).run();
}

} // namespace mta::postcat
