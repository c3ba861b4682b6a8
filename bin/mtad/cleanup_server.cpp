#include <poll.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/intake/intake.hpp>
#include <mta/queue/record.hpp>

#include "cleanup_server.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds first_limit{60000}; // until a client has begun
constexpr std::chrono::milliseconds wait_limit{300000}; // one wait for a client
constexpr std::chrono::seconds context_limit{30};       // a client waits for its answer no longer than 100 s
constexpr std::size_t most_attributes = 2000; // kept in memory, whatever queue_file_attribute_count_limit says
constexpr std::chrono::hours whole_limit{1};            // one conversation
constexpr std::size_t longest_record = 65536;
constexpr std::size_t context_count = 4;  // messages taken in at once; each has tables of its own
constexpr std::size_t client_count = 64;  // clients listened to at once

// Contexts are opened before privileges are dropped and lent to one message at a time.
class context_stock {
public:
    // A context on loan; it goes back by itself, whatever happens to the message.
    class loan {
    public:
        loan(context_stock& stock, std::unique_ptr<intake::intake_context> one) noexcept
            : stock_(&stock), one_(std::move(one)) {}
        loan(loan&& other) noexcept = default;
        loan& operator=(loan&&) = delete;
        ~loan() {
            if (one_)
                stock_->give_back(std::move(one_));
        }
        [[nodiscard]] intake::intake_context& operator*() const noexcept { return *one_; }

    private:
        context_stock* stock_;
        std::unique_ptr<intake::intake_context> one_;
    };

    void add(intake::intake_context one) {
        free_.push_back(std::make_unique<intake::intake_context>(std::move(one)));
    }
    // Waits for a free one; errc::timeout when until comes first.
    [[nodiscard]] result<loan> take(clock::time_point until) {
        std::unique_lock guard(mutex_);
        if (!freed_.wait_until(guard, until, [this] { return !free_.empty(); }))
            return fail(errc::timeout, "all contexts are busy");
        auto one = std::move(free_.back());
        free_.pop_back();
        return loan(*this, std::move(one));
    }

private:
    // Does not allocate: the place that the context came from is still there.
    void give_back(std::unique_ptr<intake::intake_context> one) noexcept {
        {
            const std::scoped_lock guard(mutex_);
            free_.push_back(std::move(one));
        }
        freed_.notify_one();
    }

    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<std::unique_ptr<intake::intake_context>> free_;
};

// One client's conversation, blocking. The client hears its queue ID at once and may then take its time: only one
// that has begun to speak gets a context.
class conversation {
public:
    conversation(int client, const queue::spool& where, context_stock& stock, logger log)
        : client_(client), where_(where), stock_(stock), log_(std::move(log)) {}

    // The queue ID when the client was told that the message is safe.
    result<std::string> run() {
        auto file = queue::queue_file_writer::create(where_, queue::directory::incoming);
        if (!file)
            return tl::make_unexpected(file.error());
        const auto id = file->id();
        if (auto greeted = say(attr_writer().put("protocol", "cleanup_protocol").put("queue_id", id)); !greeted)
            return tl::make_unexpected(greeted.error());
        if (auto flags = read_flags(); !flags)
            return tl::make_unexpected(flags.error());
        auto context = stock_.take(clock::now() + context_limit);
        if (!context)
            return tl::make_unexpected(context.error());
        (**context).use_log(log_);
        message_.emplace(intake::intake_message::begin_in(**context, std::move(*file)));
        auto done = take_message(id);
        message_.reset(); // before the context goes back
        return done;
    }

private:
    result<std::string> take_message(const std::string& id) {
        if (auto taken = take_records(); !taken)
            return tl::make_unexpected(taken.error());
        return conclude(id);
    }
    result<void> say(attr_writer& list) { return send_all(client_, list.finish(), wait_limit); }
    result<void> more() {
        char chunk[16384];
        auto limit = message_ ? wait_limit : first_limit;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - clock::now());
        if (left <= std::chrono::milliseconds::zero())
            return fail(errc::timeout, "client takes too long");
        auto got = receive_some(client_, chunk, sizeof chunk, std::min(limit, left));
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
        else if (name != "create_time" && request_.attributes.size() < most_attributes)
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
        // Whoever has given up will send the message again.
        if (pollfd one{client_, 0, 0}; ::poll(&one, 1, 0) > 0 && (one.revents & POLLHUP) != 0)
            return fail(errc::closed, "client went away");
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
    const queue::spool& where_;
    context_stock& stock_;
    logger log_;
    const clock::time_point end_ = clock::now() + whole_limit;
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
    auto job = [client, stock, log, &spool = owner.spool()]() -> result<std::string> {
        auto id = conversation(client->get(), spool, *stock, log).run();
        if (!id) {
            // The client may still be listening: a refusal, not silence.
            (void)send_all(client->get(), attr_writer().put("status", 2).put("reason", "").finish(),
                           std::chrono::milliseconds(1000));
        }
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
    auto threads = std::make_shared<net::pool>(owner.io(), client_count, std::size_t{1000});
    serve_connections(owner, where, [&owner, threads, stock, arrived = std::move(arrived), log](net::stream peer) {
        return serve_one(owner, std::move(peer), threads, stock, arrived, log.with_number(owner.next_number()));
    });
    return {};
}

} // namespace mta::daemon
