#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include <mta/core/attr.hpp>
#include <mta/core/file.hpp>
#include <mta/delivery/helper_protocol.hpp>

namespace mta::delivery {
namespace {

std::string lock_words(const std::vector<file_lock>& locks) {
    std::string out;
    for (const auto kind : locks)
        out += kind == file_lock::fcntl ? "fcntl " : kind == file_lock::flock ? "flock " : "dotlock ";
    return out;
}

failure bad_request(const std::string& what) { return fail(errc::malformed, "delivery helper: bad " + what); }

result<long long> number_in(const attr_list& list, std::string_view name, long long low, long long high) {
    const auto text = list.find(name);
    auto value = text ? parse_integer(*text) : result<long long>(bad_request(std::string(name)));
    if (!value || *value < low || *value > high)
        return bad_request(std::string(name));
    return value;
}

// Reads a number of the request into a field of the job; keeps the first error.
class fields {
public:
    explicit fields(const attr_list& list) : list_(list) {}
    template <class Number>
    fields& into(Number& to, std::string_view name, long long high) {
        if (!ok_)
            return *this;
        const auto value = number_in(list_, name, 0, high);
        if (value)
            to = static_cast<Number>(*value);
        else
            ok_ = tl::make_unexpected(value.error());
        return *this;
    }
    [[nodiscard]] const result<void>& outcome() const noexcept { return ok_; }

private:
    const attr_list& list_;
    result<void> ok_;
};

result<mailbox_job> job_from(const attr_list& list) {
    mailbox_job job;
    job.path = list.get("path");
    job.hostname = list.get("hostname");
    job.sender = list.get("sender");
    job.original = list.get("original");
    job.delivered_to = list.get("delivered_to");
    int style = 0;
    int may_fail = 0;
    int strict = 0;
    int bounces = 0;
    constexpr long long most = 1LL << 62;
    fields numbers(list);
    numbers.into(style, "style", 1).into(job.data_offset, "data_offset", most).into(job.limit, "limit", most);
    numbers.into(job.lock_attempts, "lock_attempts", 1000000).into(job.lock_delay, "lock_delay", 1000000);
    numbers.into(job.stale_lock_time, "stale_lock_time", 1000000000);
    numbers.into(may_fail, "dotlock_may_fail", 1).into(strict, "strict_owner", 1);
    numbers.into(bounces, "refusals_bounce", 1);
    if (!numbers.outcome())
        return tl::make_unexpected(numbers.outcome().error());
    auto locks = parse_locks(list.get("locks"));
    if (!locks)
        return tl::make_unexpected(locks.error());
    job.locks = std::move(*locks);
    job.style = style == 0 ? mailbox_style::mbox : mailbox_style::maildir;
    job.dotlock_may_fail = may_fail != 0;
    job.strict_owner = strict != 0;
    job.refusals_bounce = bounces != 0;
    return job;
}

void put_command(attr_writer& out, const command_job& job) {
    out.put("line", job.line).put("shell", job.shell).put("directory", job.directory);
    out.put("time_limit", job.time_limit).put("file_limit", job.file_limit).put("sender", job.message.sender);
    out.put("original", job.message.original).put("delivered_to", job.message.delivered_to);
    out.put("data_offset", job.message.data_offset);
    out.put("variables", static_cast<long long>(job.environment.size()));
    for (std::size_t number = 0; number < job.environment.size(); ++number)
        out.put("variable" + std::to_string(number), job.environment[number]);
}

result<command_job> command_from(const attr_list& list) {
    command_job job;
    job.line = list.get("line");
    job.shell = list.get("shell");
    job.directory = list.get("directory");
    job.message.sender = list.get("sender");
    job.message.original = list.get("original");
    job.message.delivered_to = list.get("delivered_to");
    std::size_t variables = 0;
    constexpr long long most = 1LL << 62;
    fields numbers(list);
    numbers.into(job.time_limit, "time_limit", 1000000000).into(job.file_limit, "file_limit", most);
    numbers.into(job.message.data_offset, "data_offset", most).into(variables, "variables", 1000);
    if (!numbers.outcome())
        return tl::make_unexpected(numbers.outcome().error());
    for (std::size_t number = 0; number < variables; ++number)
        job.environment.emplace_back(list.get("variable" + std::to_string(number)));
    return job;
}

helper_answer refused(std::string why) { return {defer("4.2.0", std::move(why)), true, {}}; }
helper_answer not_trusted(std::string why) { return {bounce("5.2.0", std::move(why)), true, {}}; }

helper_answer not_opened(const std::string& path, int reason) {
    const auto why = std::generic_category().message(reason);
    struct stat hidden {};
    // A directory that its own user may not search hides nothing of his; a file that he may not read does.
    if (::lstat(path.c_str(), &hidden) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return {sent("absent"), false, {}};
    if (reason == ELOOP || reason == ENXIO || S_ISLNK(hidden.st_mode))
        return not_trusted("file " + path + " is not a regular file");
    if (reason == EACCES)
        return not_trusted("cannot open file " + path + ": " + why);
    return refused("cannot open file " + path + ": " + why);
}

// A file that decides where mail goes must not be in everybody's hands.
helper_answer read_user_file(const std::string& path, bool follow_link, long long offset) {
    const unique_fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (follow_link ? 0 : O_NOFOLLOW)));
    if (!file)
        return not_opened(path, errno);
    struct stat found {};
    if (::fstat(file.get(), &found) != 0)
        return refused("stat " + path);
    if (!S_ISREG(found.st_mode))
        return not_trusted("file " + path + " is not a regular file");
    if ((found.st_mode & S_IWOTH) != 0)
        return not_trusted("file " + path + " is world writable");
    if (found.st_uid != ::geteuid() && found.st_uid != 0)
        return not_trusted("file " + path + " has bad owner uid " + std::to_string(found.st_uid));
    if (found.st_size > static_cast<off_t>(user_file_limit))
        return refused(path + ": larger than " + std::to_string(user_file_limit) + " bytes");
    std::string text(user_file_piece, '\0');
    std::size_t used = 0;
    while (used < text.size()) {
        const auto got = ::pread(file.get(), text.data() + used, text.size() - used, offset + static_cast<off_t>(used));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refused("read " + path);
        if (got == 0)
            break;
        used += static_cast<std::size_t>(got);
    }
    text.resize(used);
    if (text.find('\0') != std::string::npos)
        return refused(path + ": contains a NUL byte");
    helper_answer out{sent("read"), true, std::move(text)};
    out.more = offset + static_cast<long long>(used) < found.st_size;
    out.version = std::to_string(found.st_ino) + " " + std::to_string(found.st_size) + " " +
                  std::to_string(found.st_mtim.tv_sec) + "." + std::to_string(found.st_mtim.tv_nsec);
    return out;
}

} // namespace

std::array<char, spawn_request_size> encode_spawn_request(helper_user who) {
    std::array<char, spawn_request_size> out{};
    std::snprintf(out.data(), out.size(), "%14lu %14lu%s", static_cast<unsigned long>(who.uid),
                  static_cast<unsigned long>(who.gid), who.commands ? " c" : "");
    return out;
}

result<helper_user> parse_spawn_request(std::string_view bytes) {
    if (bytes.size() != spawn_request_size)
        return bad_request("spawn request");
    const auto words = split(bytes.substr(0, bytes.find('\0')), " ");
    if (words.size() != 2 && (words.size() != 3 || words[2] != "c"))
        return bad_request("spawn request");
    const auto uid = parse_integer(words[0]);
    const auto gid = parse_integer(words[1]);
    constexpr long long most = 0xFFFFFFFE; // the highest value is "no user"
    if (!uid || !gid || *uid < 0 || *uid > most || *gid < 0 || *gid > most)
        return bad_request("spawn request");
    return helper_user{static_cast<uid_t>(*uid), static_cast<gid_t>(*gid), words.size() == 3};
}

std::string helper_request::encode() const {
    attr_writer out;
    if (operation == helper_operation::read)
        return out.put("operation", "read").put("path", path).put("follow_link", follow_link ? 1 : 0).put("offset", offset).finish();
    if (operation == helper_operation::run) {
        out.put("operation", "run");
        put_command(out, command);
        return out.finish();
    }
    out.put("operation", "deliver").put("style", job.style == mailbox_style::mbox ? 0 : 1);
    out.put("path", job.path).put("hostname", job.hostname).put("sender", job.sender);
    out.put("original", job.original).put("delivered_to", job.delivered_to);
    out.put("data_offset", job.data_offset).put("limit", job.limit).put("locks", lock_words(job.locks));
    out.put("lock_attempts", job.lock_attempts).put("lock_delay", job.lock_delay);
    out.put("stale_lock_time", job.stale_lock_time);
    out.put("dotlock_may_fail", job.dotlock_may_fail ? 1 : 0).put("strict_owner", job.strict_owner ? 1 : 0);
    out.put("refusals_bounce", job.refusals_bounce ? 1 : 0);
    return out.finish();
}

result<helper_request> helper_request::parse(std::string_view bytes) {
    auto list = attr_list::parse(bytes);
    if (!list)
        return tl::make_unexpected(list.error());
    helper_request out;
    const auto operation = list->get("operation");
    if (operation == "read") {
        out.operation = helper_operation::read;
        out.path = list->get("path");
        out.follow_link = list->get("follow_link") == "1";
        out.offset = std::max(list->number("offset", 0), 0LL);
        if (out.path.empty() || out.path.front() != '/')
            return bad_request("path");
        return out;
    }
    if (operation == "run") {
        out.operation = helper_operation::run;
        auto command = command_from(*list);
        if (!command)
            return tl::make_unexpected(command.error());
        out.command = std::move(*command);
        return out;
    }
    if (operation != "deliver")
        return bad_request("operation");
    auto job = job_from(*list);
    if (!job)
        return tl::make_unexpected(job.error());
    out.job = std::move(*job);
    return out;
}

std::string helper_answer::encode() const {
    attr_writer out;
    out.put("outcome", static_cast<long long>(status.outcome)).put("dsn", status.dsn).put("reason", status.reason);
    out.put("diag_type", status.diag_type).put("diag_text", status.diag_text);
    out.put("found", found ? 1 : 0).put("more", more ? 1 : 0).put("version", version);
    return out.put("text", text).finish();
}

result<helper_answer> helper_answer::parse(std::string_view bytes) {
    auto list = attr_list::parse(bytes);
    if (!list)
        return tl::make_unexpected(list.error());
    const auto value = number_in(*list, "outcome", 0, 2);
    if (!value)
        return tl::make_unexpected(value.error());
    helper_answer out;
    out.status = {static_cast<outcome>(*value), std::string(list->get("dsn")), std::string(list->get("reason")),
                  std::string(list->get("diag_type")), std::string(list->get("diag_text"))};
    out.found = list->get("found") == "1";
    out.text = list->get("text");
    out.more = list->get("more") == "1";
    out.version = list->get("version");
    return out;
}

helper_answer perform(const helper_request& request, int queue_file) {
    if (request.operation == helper_operation::read)
        return read_user_file(request.path, request.follow_link, request.offset);
    if (request.operation == helper_operation::run)
        return {deliver_to_command(request.command, queue_file), false, {}};
    return {deliver_to_mailbox(request.job, queue_file), false, {}};
}

} // namespace mta::delivery
