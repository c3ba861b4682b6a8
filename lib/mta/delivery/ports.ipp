#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <list>
#include <mutex>
#include <optional>

#include <mta/core/local_socket.hpp>
#include <mta/core/users.hpp>
#include <mta/delivery/ports.hpp>

namespace mta::delivery {
namespace {

class own_user_port final : public mailbox_port {
public:
    helper_answer perform_as(helper_user who, const helper_request& request, int queue_file) override {
        if (who.uid == ::geteuid())
            return perform(request, queue_file);
        const std::string text = "this mail system runs as uid " + std::to_string(::geteuid()) +
                                 " and cannot deliver as uid " + std::to_string(who.uid);
        return {defer("4.3.5", text), false, {}};
    }
};

class helper_port final : public spawner_port {
public:
    helper_port(unique_fd socket, spawner_limits limits) : spawner_(std::move(socket)), limits_(limits) {}

    helper_answer perform_as(helper_user who, const helper_request& request, int queue_file) override {
        const std::string text = request.encode();
        who.commands = request.operation == helper_operation::run;
        // A command has its own limit; what the helper does after it takes moments.
        const auto limit = limits_.answer + std::chrono::seconds(who.commands ? request.command.time_limit : 0);
        // A kept helper may have gone meanwhile: that shows before it has done anything, and a new one is asked.
        for (bool fresh = false;;) {
            auto helper = fresh ? std::nullopt : take(who);
            if (!helper) {
                fresh = true;
                auto started = start(who);
                if (!started)
                    return {defer("4.3.0", "cannot start a delivery helper: " + started.error().text()), false, {}};
                helper = std::move(*started);
            }
            if (!give(helper->get(), text, request, queue_file)) {
                if (!fresh)
                    continue;
                // A helper that was refused has left its answer behind.
            }
            bool unasked = false;
            auto answer = receive(helper->get(), limit, unasked);
            if (!answer && unasked && !fresh)
                continue;
            if (!answer)
                return {defer("4.3.0", "delivery helper failed: " + answer.error().text()), false, {}};
            keep(who, std::move(*helper));
            return std::move(*answer);
        }
    }

    void close_idle(std::chrono::seconds idle) override {
        const auto now = std::chrono::steady_clock::now();
        const std::lock_guard guard(mutex_);
        std::erase_if(kept_, [&](const entry& one) { return now - one.since >= idle; });
    }

    void replace_spawner(unique_fd socket) override {
        const std::lock_guard guard(spawner_mutex_);
        spawner_ = std::move(socket);
    }

private:
    struct entry {
        helper_user who;
        unique_fd socket;
        std::chrono::steady_clock::time_point since;
    };

    [[nodiscard]] static bool give(int socket, const std::string& text, const helper_request& request,
                                   int queue_file) {
        if (request.operation == helper_operation::read || queue_file < 0)
            return send_with_fds(socket, text, {}).has_value();
        const std::array<int, 1> fds{queue_file};
        return send_with_fds(socket, text, fds).has_value();
    }

    // unasked: the helper went away without having taken the request.
    [[nodiscard]] result<helper_answer> receive(int socket, std::chrono::seconds limit, bool& unasked) const {
        if (auto ready = wait_readable(socket, limit); !ready)
            return tl::make_unexpected(ready.error());
        auto message = receive_with_fds(socket);
        if (!message && message.error().code == std::errc::connection_reset) {
            // It closed with our request unread; a refusal that it left behind comes after that news.
            message = receive_with_fds(socket);
            unasked = !message || message->bytes.empty();
        }
        if (!message)
            return tl::make_unexpected(message.error());
        if (message->bytes.empty())
            return fail(errc::closed, "it ended without an answer");
        return helper_answer::parse(message->bytes);
    }

    [[nodiscard]] std::optional<unique_fd> take(helper_user who) {
        const std::lock_guard guard(mutex_);
        for (auto it = kept_.begin(); it != kept_.end(); ++it)
            if (it->who == who) {
                auto socket = std::move(it->socket);
                kept_.erase(it);
                return socket;
            }
        return std::nullopt;
    }

    void keep(helper_user who, unique_fd socket) {
        const std::lock_guard guard(mutex_);
        if (kept_.size() >= limits_.idle_helpers)
            kept_.pop_back();
        kept_.push_front(entry{who, std::move(socket), std::chrono::steady_clock::now()});
    }

    [[nodiscard]] result<unique_fd> start(helper_user who) {
        auto ends = socket_pair(SOCK_SEQPACKET);
        if (!ends)
            return tl::make_unexpected(ends.error());
        const auto message = encode_spawn_request(who);
        const std::array<int, 1> fds{ends->second.get()};
        const std::lock_guard guard(spawner_mutex_);
        if (auto sent_on = send_with_fds(spawner_.get(), {message.data(), message.size()}, fds); !sent_on)
            return tl::make_unexpected(sent_on.error());
        return std::move(ends->first);
    }

    unique_fd spawner_;
    spawner_limits limits_;
    std::mutex spawner_mutex_;
    std::mutex mutex_;
    std::list<entry> kept_; // most recently used first
};

} // namespace

std::unique_ptr<mailbox_port> make_own_user_port() { return std::make_unique<own_user_port>(); }

std::unique_ptr<spawner_port> make_spawner_port(unique_fd socket, spawner_limits limits) {
    return std::make_unique<helper_port>(std::move(socket), limits);
}

} // namespace mta::delivery
