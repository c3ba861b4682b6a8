#include <mutex>

#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/intake/intake.hpp>
#include <mta/queue/record.hpp>

#include "cleanup_server.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::chrono::milliseconds client_limit{300000}; // one wait for a client
constexpr std::size_t longest_record = 65536;
constexpr std::size_t context_count = 4; // clients served at once; each has tables of its own

// Contexts are opened before privileges are dropped and lent to one conversation at a time.
class context_stock {
public:
    void add(intake::intake_context one) { free_.push_back(std::move(one)); }
    // As many threads serve as there are contexts.
    [[nodiscard]] intake::intake_context take() {
        const std::scoped_lock guard(mutex_);
        auto one = std::move(free_.back());
        free_.pop_back();
        return one;
    }
    void give_back(intake::intake_context one) {
        const std::scoped_lock guard(mutex_);
        free_.push_back(std::move(one));
    }

private:
    std::mutex mutex_;
    std::vector<intake::intake_context> free_;
};

// One client's conversation, blocking.
class conversation {
public:
    conversation(int client, intake::intake_context& context) : client_(client), context_(context) {}

    // The queue ID when the client was told that the message is safe.
    result<std::string> run() {
        auto begun = intake::intake_message::reserve(context_);
        if (!begun)
            return tl::make_unexpected(begun.error());
        message_.emplace(std::move(*begun));
        const auto id = message_->queue_id();
        if (auto greeted = say(attr_writer().put("protocol", "cleanup_protocol").put("queue_id", id)); !greeted)
            return tl::make_unexpected(greeted.error());
        if (auto flags = read_flags(); !flags)
            return tl::make_unexpected(flags.error());
        if (auto taken = take_records(); !taken)
            return tl::make_unexpected(taken.error());
        return conclude(id);
    }

private:
    result<void> say(attr_writer& list) { return send_all(client_, list.finish(), client_limit); }
    result<void> more() {
        char chunk[16384];
        auto got = receive_some(client_, chunk, sizeof chunk, client_limit);
        if (!got)
            return tl::make_unexpected(got.error());
        if (*got == 0)
            return fail(errc::closed, "client went away");
        pending_.erase(0, std::exchange(used_, 0));
        pending_.append(chunk, *got);
        return {};
    }
    result<void> read_flags() {
        for (;;) {
            std::size_t used = 0;
            if (attr_list::parse(pending_, &used)) {
                used_ = used;
                return {};
            }
            if (pending_.size() > 1024)
                return fail(errc::malformed, "no flags from the client");
            if (auto got = more(); !got)
                return got;
        }
    }
    result<queue::record> next_record() {
        for (;;) {
            const auto rest = std::string_view(pending_).substr(used_);
            auto header = queue::parse_record_header(rest, longest_record);
            if (!header)
                return tl::make_unexpected(header.error());
            if (*header && rest.size() >= (*header)->header_size + (*header)->length) {
                used_ += (*header)->header_size + (*header)->length;
                return queue::record{(*header)->type, rest.substr((*header)->header_size, (*header)->length)};
            }
            if (auto got = more(); !got)
                return tl::make_unexpected(got.error());
        }
    }

    result<void> take_records() {
        for (;;) {
            auto record = next_record();
            if (!record)
                return tl::make_unexpected(record.error());
            if (record->type == queue::record_type::end)
                return in_content_ ? fail(errc::malformed, "end of message inside the text") : result<void>();
            auto taken = in_content_ ? content(*record) : envelope(*record);
            if (!taken)
                return taken;
        }
    }
    result<void> content(const queue::record& record) {
        using queue::record_type;
        if (record.type == record_type::extracted) {
            in_content_ = false;
            return message_->end_content();
        }
        if (record.type != record_type::text && record.type != record_type::unterminated)
            return fail(errc::malformed, "unexpected record in the message text");
        return message_->content_line(record.data, record.type == record_type::unterminated);
    }
    // Before the text, and again after it.
    result<void> envelope(const queue::record& record) {
        using queue::record_type;
        switch (record.type) {
        case record_type::time:
            return {}; // its arrival here is what counts
        case record_type::full_name:
            request_.full_name = record.data;
            return {};
        case record_type::sender:
            request_.sender = record.data;
            return {};
        case record_type::verp:
            request_.verp = record.data;
            return {};
        case record_type::attribute:
            return attribute(record.data);
        case record_type::original_recipient:
            next_.original = record.data;
            return {};
        case record_type::recipient: {
            if (auto described = describe(); !described)
                return described;
            next_.address = record.data;
            return message_->recipient(std::exchange(next_, {}));
        }
        case record_type::message:
            in_content_ = true;
            return describe();
        default:
            return {};
        }
    }
    result<void> attribute(std::string_view pair) {
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos)
            return fail(errc::malformed, "attribute without a value");
        const auto name = pair.substr(0, equals);
        const auto value = pair.substr(equals + 1);
        if (name == "notify_flags")
            next_.notify = static_cast<int>(parse_integer(value).value_or(0));
        else if (name == "dsn_orig_rcpt")
            next_.dsn_original = value;
        else if (name == "encoding")
            request_.encoding = value;
        else if (name == "envelope_id")
            request_.dsn_envelope_id = value;
        else if (name == "ret_flags")
            request_.dsn_ret = static_cast<int>(parse_integer(value).value_or(0));
        else if (name == "rewrite_context")
            request_.context =
                value == "remote" ? intake::rewrite_context::remote : intake::rewrite_context::local;
        else if (name != "create_time")
            request_.attributes.emplace_back(name, value);
        return {};
    }
    // The envelope up to the first recipient goes into the file.
    result<void> describe() {
        if (std::exchange(described_, true))
            return {};
        request_.origin = intake::origin::foreign;
        return message_->describe(std::move(request_));
    }

    result<std::string> conclude(const std::string& id) {
        auto verdict = message_->finish();
        if (!verdict)
            return tl::make_unexpected(verdict.error());
        attr_writer answer;
        if (verdict->accepted()) {
            if (auto synced = message_->sync(); !synced)
                return tl::make_unexpected(synced.error());
        }
        answer.put("status", static_cast<long long>(verdict->status)).put("reason", verdict->text);
        auto told = say(answer);
        if (!verdict->accepted())
            return fail(errc::malformed, verdict->text);
        return id;
    }

    int client_;
    intake::intake_context& context_;
    std::optional<intake::intake_message> message_;
    intake::intake_request request_;
    intake::intake_recipient next_;
    std::string pending_;
    std::size_t used_ = 0;
    bool in_content_ = false;
    bool described_ = false;
};

boost::asio::awaitable<void> serve_one(worker& owner, net::stream peer, std::shared_ptr<net::pool> threads,
                                       std::shared_ptr<context_stock> stock,
                                       std::function<void(const std::string&)> arrived, logger log) {
    const auto busy = owner.busy();
    auto client = std::make_shared<unique_fd>(peer.release());
    auto job = [client, stock, log]() -> result<std::string> {
        auto context = stock->take();
        context.use_log(log);
        result<std::string> id = conversation(client->get(), context).run();
        if (!id) {
            // The client may still be listening: a refusal, not silence.
            (void)send_all(client->get(), attr_writer().put("status", 2).put("reason", "").finish(),
                           std::chrono::milliseconds(1000));
        }
        stock->give_back(std::move(context));
        return id;
    };
    auto id = co_await threads->run(std::move(job));
    if (id)
        arrived(*id);
    else if (id.error().code != errc::closed)
        log.warning(id.error().text());
}

} // namespace

result<void> serve_cleanup(worker& owner, endpoint& where, std::function<void(const std::string&)> arrived) {
    auto stock = std::make_shared<context_stock>();
    const logger log(owner.log().sink(), where.tag);
    for (std::size_t i = 0; i < context_count; ++i) {
        auto context = intake::intake_context::open(where.cfg, owner.spool(), log);
        if (!context)
            return tl::make_unexpected(context.error());
        stock->add(std::move(*context));
    }
    auto threads = std::make_shared<net::pool>(owner.io(), context_count, std::size_t{1000});
    serve_connections(owner, where, [&owner, threads, stock, arrived = std::move(arrived), log](net::stream peer) {
        return serve_one(owner, std::move(peer), threads, stock, arrived, log.with_number(owner.next_number()));
    });
    return {};
}

} // namespace mta::daemon
