#include "postdrop.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include <mta/core/attr.hpp>
#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/queue/queue_file_writer.hpp>
#include <mta/queue/spool.hpp>
#include <mta/table/user_rights.hpp>

#include "record_filter.hpp"

namespace mta::postdrop {

namespace {

using queue::record_type;

constexpr int status_bad = 1;
constexpr int status_write = 2;
constexpr int status_size = 4;
constexpr int status_not_permitted = 512;

// What the signal handler needs; it may only make system calls.
int handler_root = -1;
std::array<char, 300> handler_path{};

extern "C" void remove_and_exit(int number) {
    if (handler_root >= 0)
        (void)::unlinkat(handler_root, handler_path.data(), 0);
    ::_exit(number);
}

// Blocks the signals that remove_and_exit serves, for as long as it lives.
class no_signals {
public:
    no_signals() {
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, &before_);
    }
    ~no_signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    no_signals(const no_signals&) = delete;
    no_signals& operator=(const no_signals&) = delete;

private:
    sigset_t before_{};
};

// After the end of input nothing can be taken back: the exit status tells what became of the message.
void refuse_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
}

void catch_signals() {
    struct sigaction act {};
    act.sa_handler = remove_and_exit;
    ::sigfillset(&act.sa_mask);
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
        struct sigaction old {};
        // nohup and the like: what the caller ignores stays ignored.
        if ((number == SIGHUP || number == SIGTERM) && ::sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        (void)::sigaction(number, &act, nullptr);
    }
}

// What is wrong with the record that rest begins with and does not hold, in the words that logs have for it.
std::string broken_record(std::string_view rest, std::size_t limit) {
    const auto type = ", record type " + std::to_string(static_cast<unsigned char>(rest.front()));
    std::uint32_t length = 0;
    std::size_t at = 1;
    for (unsigned shift = 0;; shift += 7, ++at) {
        if (at == rest.size())
            return "stdin: unexpected EOF reading length" + type;
        const auto group = static_cast<unsigned char>(rest[at]);
        length |= shift < 32 ? static_cast<std::uint32_t>(group & 0x7fU) << shift : 0U;
        if ((group & 0x80U) == 0 || shift > 28)
            break;
    }
    const auto shown = std::to_string(static_cast<std::int32_t>(length));
    if (length > limit)
        return "stdin: illegal length " + shown + type;
    return "stdin: unexpected EOF in data" + type + " length " + shown;
}

class intake {
public:
    intake(const configuration& cfg, config::command_log& log) : cfg_(cfg), log_(log), uid_(::getuid()) {}

    int run();

private:
    [[nodiscard]] std::string uid_text() const { return "uid=" + std::to_string(uid_); }
    void check_user();
    void check_sender(std::string_view sender);
    void limit_size() const;
    void create();
    [[noreturn]] void refuse(const std::string& text);
    [[noreturn]] void refuse_broken(std::string_view rest);
    // False at a premature end of input.
    bool copy_records();
    bool take(const queue::record& record);
    int commit();
    int answer(int status, std::string_view reason);
    void wake_pickup() const;

    const configuration& cfg_;
    config::command_log& log_;
    uid_t uid_;
    std::optional<queue::spool> where_;
    std::optional<queue::queue_file_writer> file_;
    record_filter filter_;
    bool incomplete_ = false; // ended, but it lacks sender or recipients
    std::string refusal_; // of the sender; empty: none
};

void intake::check_user() {
    const auto name = table::login_name(uid_);
    auto allowed = table::lets_in("authorized_submit_users", cfg_[param::authorized_submit_users], name);
    if (!allowed)
        log_.warning(allowed.error().text());
    if (!allowed || !*allowed)
        log_.fatal("User " + name + '(' + std::to_string(uid_) + ") is not allowed to submit mail");
}

// A sender that the user may not use is refused at the end, when the caller listens.
void intake::check_sender(std::string_view sender) {
    auto allowed = table::may_send_as(cfg_[param::local_login_sender_maps],
                                      table::login_name(uid_, "uid:" + std::to_string(uid_)), sender,
                                      cfg_[param::recipient_delimiter],
                                      cfg_[param::empty_address_local_login_sender_maps_lookup_key]);
    if (!allowed) {
        log_.warning(allowed.error().text());
        refusal_ = "local_login_sender_maps table lookup error for '" +
                   join(cfg_[param::local_login_sender_maps], " ") + '\'';
    } else if (!*allowed)
        refusal_ = "not authorized to use sender='" + printable(sender) + '\'';
}

void intake::limit_size() const {
    // A write beyond the limit then fails in the kernel, wherever it happens.
    const auto limit = cfg_[param::message_size_limit];
    if (limit <= 0)
        return;
    struct rlimit size {};
    if (::getrlimit(RLIMIT_FSIZE, &size) != 0)
        return;
    size.rlim_cur = std::min<rlim_t>(size.rlim_max, static_cast<rlim_t>(limit));
    (void)::setrlimit(RLIMIT_FSIZE, &size);
}

void intake::create() {
    auto where = queue::spool::open(queue::spool_options_from(cfg_));
    if (!where)
        log_.fatal(where.error());
    where_.emplace(std::move(*where));
    const no_signals quiet; // the handler must know the name as soon as there is one
    auto file = queue::queue_file_writer::create(*where_, queue::directory::maildrop);
    if (!file)
        log_.fatal(file.error());
    file_.emplace(std::move(*file));
    const auto path = where_->relative_path(queue::directory::maildrop, file_->id());
    path.copy(handler_path.data(), handler_path.size() - 1);
    handler_root = where_->root_fd();
}

void intake::refuse(const std::string& text) {
    file_.reset(); // and the file with it
    log_.fatal(text);
}

void intake::refuse_broken(std::string_view rest) {
    log_.warning(broken_record(rest, static_cast<std::size_t>(cfg_[param::line_length_limit])));
    refuse(uid_text() + ": malformed input");
}

bool intake::take(const queue::record& record) {
    switch (filter_.judge(record.type, record.data)) {
    case ruling::pass:
        if (record.type == record_type::sender)
            check_sender(record.data);
        file_->put(record.type, record.data);
        return true;
    case ruling::drop:
        return true;
    case ruling::ignore:
        log_.warning(uid_text() + ": ignoring attribute record: " + printable(record.data));
        return true;
    case ruling::nameless:
        log_.warning(uid_text() + ": ignoring malformed record: " +
                     (record.data.find('=') == std::string_view::npos && !record.data.empty()
                          ? "missing '=' after attribute name: "
                          : "missing attribute name: ") +
                     printable(record.data));
        return true;
    case ruling::end:
        return false;
    case ruling::incomplete:
        incomplete_ = true;
        return false;
    case ruling::unexpected:
        refuse(uid_text() + ": unexpected record type: " + std::to_string(static_cast<int>(record.type)));
    case ruling::malformed:
        break;
    }
    refuse(uid_text() + ": malformed input");
}

bool intake::copy_records() {
    const auto limit = static_cast<std::size_t>(cfg_[param::line_length_limit]);
    std::string bytes;
    std::array<char, 64U << 10U> chunk{};
    for (;;) {
        const auto got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (!bytes.empty())
                refuse_broken(bytes);
            return false;
        }
        bytes.append(chunk.data(), static_cast<std::size_t>(got));
        std::size_t at = 0;
        while (at < bytes.size()) {
            const auto rest = std::string_view(bytes).substr(at);
            const auto header = queue::parse_record_header(rest, limit);
            if (!header)
                refuse_broken(rest);
            if (!*header || rest.size() - (*header)->header_size < (*header)->length)
                break;
            at += (*header)->header_size + (*header)->length;
            if (!take({(*header)->type, rest.substr((*header)->header_size, (*header)->length)}))
                return true;
        }
        bytes.erase(0, at);
    }
}

int intake::answer(int status, std::string_view reason) {
    attr_writer list;
    list.put("status", status).put("reason", reason);
    (void)write_all(STDOUT_FILENO, list.finish());
    return status;
}

int intake::commit() {
    refuse_signals();
    if (!refusal_.empty()) {
        file_.reset();
        return answer(status_not_permitted, refusal_);
    }
    if (incomplete_) {
        file_.reset();
        return answer(status_bad, {});
    }
    auto done = file_->commit_mark();
    if (done)
        done = file_->sync();
    if (!done) {
        log_.warning(uid_text() + ": " + done.error().code.message());
        const bool size = done.error().code == std::errc::file_too_large;
        file_.reset();
        return answer(size ? status_size : status_write, {});
    }
    // The directory is write-only for a set-gid caller; where it can be opened its new name is flushed too.
    (void)sync_directory(where_->root() + "/maildrop");
    wake_pickup();
    return answer(0, {});
}

void intake::wake_pickup() const {
    const auto path = cfg_[param::queue_directory] + "/public/" + cfg_[param::pickup_service_name];
    constexpr std::chrono::milliseconds patience(500);
    auto socket = connect_local(path, patience);
    if (socket) {
        (void)send_all(socket->get(), "W", patience);
        return;
    }
    if (socket.error().code == std::errc::no_such_file_or_directory)
        log_.warning("unable to look up public/" + cfg_[param::pickup_service_name] + ": " + std::strerror(ENOENT));
}

int intake::run() {
    check_user();
    limit_size();
    catch_signals();
    create();
    attr_writer hello;
    hello.put("protocol", "postdrop_protocol").put("queue_id", file_->id());
    (void)write_all(STDOUT_FILENO, hello.finish());
    file_->put_time(file_->created());
    if (!copy_records())
        return 0; // the caller has thought better of it
    return commit();
}

} // namespace

int run(const configuration& cfg, config::command_log& log) {
    return intake(cfg, log).run();
}

} // namespace mta::postdrop
