// The pickup service: takes complete files of maildrop/ into the queue, when told and every minute.
//
// Touches: maildrop/ (read, remove), incoming/ (through intake). Runs as mail_owner. Files are taken one after the
// other on the disk pool: a slow disk delays local submission, not SMTP sessions.
#include <boost/asio/steady_timer.hpp>

#include <mta/intake/maildrop_reader.hpp>
#include <mta/net/asio.hpp>

#include "services.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

class pickup {
public:
    pickup(worker& owner, endpoint where, intake::intake_context context)
        : worker_(owner), endpoint_(std::move(where)), log_(owner.log().sink(), endpoint_.tag),
          context_(std::move(context)), wake_(owner.io()) {}

    static void start(const std::shared_ptr<pickup>& self) {
        serve_triggers(self->worker_, self->endpoint_, [self](std::string_view) { self->wake_.notify(); });
        self->worker_.on_stop([self] { self->wake_.notify(); });
        self->worker_.spawn(run(self));
    }

private:
    static boost::asio::awaitable<void> run(std::shared_ptr<pickup> self) {
        const std::chrono::seconds period(self->endpoint_.wakeup > 0 ? self->endpoint_.wakeup : 60);
        while (!self->worker_.stopping()) {
            co_await self->scan();
            (void)co_await self->wake_.wait(period);
        }
    }

    boost::asio::awaitable<void> scan() {
        const auto busy = worker_.busy();
        const auto skipped = [this](const error& why) { log_.warning("scan maildrop: skipped: " + why.text()); };
        queue::scanner scanner(worker_.spool(), queue::directory::maildrop, skipped);
        while (!worker_.stopping()) {
            auto entry = scanner.next();
            if (!entry)
                log_.warning("scan maildrop: " + entry.error().text());
            if (!entry || !*entry)
                co_return;
            // Temporary names (MICROSECONDS.PID) are not ours yet.
            if (queue::is_valid_queue_id((*entry)->name))
                co_await take(std::string((*entry)->name));
        }
    }

    boost::asio::awaitable<void> take(std::string name) {
        const auto log = log_.with_number(worker_.next_number());
        auto job = [this, log, name] {
            context_.use_log(log.with_tag(cleanup_tag_));
            return intake::take_maildrop_file(context_, log, worker_.spool(), name);
        };
        auto outcome = co_await worker_.disk().run(std::move(job));
        if (!outcome)
            log.warning(name + ": " + outcome.error().text());
        else if (outcome->result == intake::pickup_result::queued)
            worker_.notify_queue(outcome->queue_id);
    }

    worker& worker_;
    endpoint endpoint_;
    logger log_;
    std::string cleanup_tag_ = worker_.cfg().text("syslog_name") + "/cleanup";
    intake::intake_context context_; // used by one take() at a time
    net::event wake_;
};

} // namespace

result<void> start_pickup(worker& owner, endpoint where) {
    auto context = intake::intake_context::open(
        where.cfg, owner.spool(), owner.log().with_tag(owner.cfg().text("syslog_name") + "/cleanup"));
    if (!context)
        return tl::make_unexpected(context.error());
    pickup::start(std::make_shared<pickup>(owner, std::move(where), std::move(*context)));
    return {};
}

} // namespace mta::daemon
