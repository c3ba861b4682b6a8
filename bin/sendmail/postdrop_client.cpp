#include "postdrop_client.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <mta/core/attr.hpp>
#include <mta/core/child.hpp>
#include <mta/core/file.hpp>

namespace mta::sendmail {

namespace {

result<std::pair<unique_fd, unique_fd>> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail_errno("pipe");
    return std::pair(unique_fd(ends[0]), unique_fd(ends[1]));
}

} // namespace

result<postdrop_client> postdrop_client::start(const std::string& path, std::vector<std::string> arguments) {
    auto there = make_pipe();
    if (!there)
        return tl::make_unexpected(there.error());
    auto back = make_pipe();
    if (!back)
        return tl::make_unexpected(back.error());
    child_options options;
    options.arguments = std::move(arguments);
    options.input = there->first.get();
    options.output = back->second.get();
    auto pid = start_child(path, options);
    if (!pid)
        return tl::make_unexpected(pid.error());
    postdrop_client client;
    client.child_ = *pid;
    client.to_ = std::move(there->second);
    client.from_ = std::move(back->first);
    return client;
}

void postdrop_client::flush() {
    if (to_ && !write_all(to_.get(), buffer_))
        to_.reset();
    buffer_.clear();
}

std::string postdrop_client::queue_id() {
    std::array<char, 512> chunk{};
    for (;;) {
        if (const auto hello = attr_list::parse(answer_))
            return std::string(hello->get("queue_id"));
        const auto got = ::read(from_.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return {};
        answer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

// Reads to the end.
void postdrop_client::read_answer() {
    constexpr std::size_t limit = 64U << 10U;
    std::array<char, 4096> chunk{};
    while (answer_.size() < limit) {
        const auto got = ::read(from_.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        answer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

result<submission_answer> postdrop_client::finish() {
    put(queue::record_type::end, {});
    flush();
    read_answer();
    to_.reset();
    if (auto waited = wait_child(child_); !waited)
        return tl::make_unexpected(waited.error());
    std::size_t used = 0;
    const auto hello = attr_list::parse(answer_, &used);
    if (!hello || hello->get("protocol") != "postdrop_protocol")
        return fail(errc::closed, "no answer from postdrop");
    const auto verdict = attr_list::parse(std::string_view(answer_).substr(used));
    if (!verdict || !verdict->find("status"))
        return fail(errc::closed, "no answer from postdrop");
    return submission_answer{static_cast<unsigned>(verdict->number("status", 2)), std::string(verdict->get("reason")),
                             std::string(hello->get("queue_id"))};
}

void postdrop_client::cancel() {
    to_.reset(); // the end of its input without an end record
    read_answer();
    (void)wait_child(child_);
}

} // namespace mta::sendmail
