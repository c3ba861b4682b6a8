#include <sys/time.h>

#include <ctime>

#include <mta/address/parts.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/forward_client.hpp>
#include <mta/message/trace.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/queue/record.hpp>

namespace mta::delivery {
namespace {

// What cleanup is asked to do for forwarded mail: report trouble here instead of bouncing, and rewrite as for
// mail that is new.
constexpr long long forward_flags = 33;

class cleanup_session {
public:
    cleanup_session(unique_fd fd, std::chrono::milliseconds limit) : fd_(std::move(fd)), limit_(limit) {}

    // Reads one attribute list.
    [[nodiscard]] result<attr_list> answer() {
        for (;;) {
            std::size_t used = 0;
            auto list = attr_list::parse(input_, &used);
            if (list) {
                input_.erase(0, used);
                return list;
            }
            char chunk[4096];
            auto got = receive_some(fd_.get(), chunk, sizeof chunk, limit_);
            if (!got)
                return tl::make_unexpected(got.error());
            if (*got == 0)
                return fail(errc::closed, "cleanup service hung up");
            input_.append(chunk, *got);
            if (input_.size() > 65536)
                return fail(errc::malformed, "cleanup service: answer too long");
        }
    }

    [[nodiscard]] result<void> put(queue::record_type type, std::string_view data) {
        queue::append_record(output_, type, data);
        return output_.size() < 65536 ? result<void>() : flush();
    }
    [[nodiscard]] result<void> raw(std::string_view bytes) {
        output_ += bytes;
        return {};
    }
    [[nodiscard]] result<void> flush() {
        auto done = send_all(fd_.get(), output_, limit_);
        output_.clear();
        return done;
    }

private:
    unique_fd fd_;
    std::chrono::milliseconds limit_;
    std::string input_;
    std::string output_;
};

std::string attribute(std::string_view name, std::string_view value) {
    return std::string(name) + "=" + std::string(value);
}

bool passes_on(std::string_view name) {
    return name.starts_with("log_") || name.starts_with("sasl_") || name == "dialog";
}

void put_envelope(std::vector<std::pair<queue::record_type, std::string>>& out, const request& from,
                  const forward_message& message) {
    using type = queue::record_type;
    timeval now{};
    ::gettimeofday(&now, nullptr);
    out.emplace_back(type::time, std::to_string(now.tv_sec) + " " + std::to_string(now.tv_usec));
    out.emplace_back(type::sender, message.sender);
    if (!from.encoding.empty())
        out.emplace_back(type::attribute, attribute("encoding", from.encoding));
    if (from.dsn_ret != 0)
        out.emplace_back(type::attribute, attribute("ret_flags", std::to_string(from.dsn_ret)));
    if (!from.dsn_envid.empty())
        out.emplace_back(type::attribute, attribute("envelope_id", from.dsn_envid));
    for (const auto& [name, value] : from.client)
        if (passes_on(name) && name != "log_ident")
            out.emplace_back(type::attribute, attribute(name, value));
    out.emplace_back(type::attribute, attribute("log_ident", from.queue_id));
    out.emplace_back(type::attribute, attribute("rewrite_context", "local"));
    for (const auto& to : message.recipients) {
        if (!to.dsn_original.empty())
            out.emplace_back(type::attribute, attribute("dsn_orig_rcpt", to.dsn_original));
        if (to.notify != 0)
            out.emplace_back(type::attribute, attribute("notify_flags", std::to_string(to.notify)));
        if (!to.original.empty())
            out.emplace_back(type::original_recipient, to.original);
        out.emplace_back(type::recipient, to.address);
    }
    out.emplace_back(type::message, "");
}

result<void> send_content(cleanup_session& session, const request& from, int queue_file) {
    unique_fd copy(::fcntl(queue_file, F_DUPFD_CLOEXEC, 3));
    if (!copy)
        return fail_errno("read message");
    auto file = queue::queue_file::adopt(std::move(copy));
    if (!file)
        return tl::make_unexpected(file.error());
    if (auto started = file->start_content(from.data_offset); !started)
        return started;
    std::string_view line;
    bool unterminated = false;
    for (;;) {
        auto more = file->next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            return {};
        const auto type = unterminated ? queue::record_type::unterminated : queue::record_type::text;
        if (auto sent_on = session.put(type, line); !sent_on)
            return sent_on;
    }
}

result<void> send_message(cleanup_session& session, const std::string& id, const request& from, int queue_file,
                          const forward_message& message) {
    using type = queue::record_type;
    attr_writer flags;
    if (auto done = session.raw(flags.put("flags", forward_flags).finish()); !done)
        return done;
    std::vector<std::pair<type, std::string>> records;
    put_envelope(records, from, message);
    const auto trace = mta::message::received_internal(message.hostname, message.mail_name, id, ::time(nullptr));
    for (const auto line : split(trace, "\r\n"))
        records.emplace_back(type::text, line);
    if (!message.delivered_to.empty())
        records.emplace_back(type::text, "Delivered-To: " + address::quote(lower(message.delivered_to)));
    for (const auto& [kind, data] : records)
        if (auto done = session.put(kind, data); !done)
            return done;
    if (auto done = send_content(session, from, queue_file); !done)
        return done;
    if (auto done = session.put(type::extracted, ""); !done)
        return done;
    if (auto done = session.put(type::end, ""); !done)
        return done;
    return session.flush();
}

} // namespace

result<std::string> forward(const std::string& socket, const request& from, int queue_file,
                            const forward_message& message, std::chrono::milliseconds limit) {
    auto fd = connect_local(socket, limit);
    if (!fd)
        return tl::make_unexpected(fd.error());
    cleanup_session session(std::move(*fd), limit);
    const auto greeting = session.answer();
    if (!greeting)
        return tl::make_unexpected(greeting.error());
    const std::string id(greeting->get("queue_id"));
    if (greeting->get("protocol") != "cleanup_protocol" || id.empty())
        return fail(errc::malformed, "unexpected greeting of the cleanup service");
    if (auto done = send_message(session, id, from, queue_file, message); !done)
        return tl::make_unexpected(done.error());
    const auto verdict = session.answer();
    if (!verdict)
        return tl::make_unexpected(verdict.error());
    if (verdict->number("status", -1) != 0) {
        const auto why = verdict->get("reason");
        return fail(errc::temporary, why.empty() ? "cleanup service refused the message" : std::string(why));
    }
    return id;
}

} // namespace mta::delivery
