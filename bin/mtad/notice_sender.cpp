#include <sys/time.h>

#include <mta/intake/message.hpp>
#include <mta/queue/queue_file.hpp>

#include "notice_sender.hpp"

namespace mta::daemon {

struct notice_sender::parts {
    parts(const config::configuration& cfg, const queue::spool& where, const logger& tagged,
          intake::intake_context opened)
        : settings(notify::settings_from(cfg)), spool(where), log(tagged), context(std::move(opened)),
          returns_double_bounces(cfg.text("notify_classes").find("2bounce") != std::string::npos) {}

    result<std::string> queue_one(notify::kind kind, const std::string& id, const queue::envelope& about,
                                  std::span<const queue::log_entry> entries, queue::queue_file* original);

    notify::settings settings;
    const queue::spool& spool;
    logger log;
    intake::intake_context context;
    bool returns_double_bounces;
    std::mutex mutex;
};

result<notice_sender> notice_sender::open(const config::configuration& cfg, const queue::spool& where,
                                          const logger& log) {
    const std::string name = cfg.text("syslog_name");
    auto context = intake::intake_context::open(cfg, where, log.with_tag(name + "/cleanup"));
    if (!context)
        return tl::make_unexpected(context.error());
    return notice_sender(std::make_shared<parts>(cfg, where, log.with_tag(name + "/bounce"), std::move(*context)));
}

result<std::string> notice_sender::parts::queue_one(notify::kind kind, const std::string& id,
                                                    const queue::envelope& about,
                                                    std::span<const queue::log_entry> entries,
                                                    queue::queue_file* original) {
    notify::request what;
    what.kind = kind;
    what.queue_id = id;
    what.envelope = &about;
    what.entries = entries;
    what.original = original;
    ::gettimeofday(&what.now, nullptr);
    const auto envelope = notify::envelope_of(what, settings);

    intake::intake_request request;
    request.origin = intake::origin::notice;
    request.context = intake::rewrite_context::local;
    request.sender = envelope.sender;
    auto message = intake::intake_message::begin(context, std::move(request));
    if (!message)
        return tl::make_unexpected(message.error());
    what.notice_id = message->queue_id();
    intake::intake_recipient to;
    to.address = envelope.recipient;
    if (auto added = message->recipient(to); !added)
        return tl::make_unexpected(added.error());
    auto composed = notify::compose(what, settings, [&](std::string_view line, bool unterminated) {
        return message->content_line(line, unterminated);
    });
    if (!composed)
        return tl::make_unexpected(composed.error());
    auto verdict = message->finish();
    if (!verdict)
        return tl::make_unexpected(verdict.error());
    if (!verdict->accepted())
        return fail(errc::temporary, "notice refused: " + verdict->text);
    if (auto synced = message->sync(); !synced)
        return tl::make_unexpected(synced.error());
    return what.notice_id;
}

result<std::vector<std::string>> notice_sender::report(notify::kind kind, const std::string& id,
                                                       queue::directory where, const queue::envelope& about,
                                                       std::span<const queue::log_entry> entries) {
    const std::scoped_lock guard(parts_->mutex);
    std::vector<std::string> queued;
    auto due = notify::entries_for(kind, entries);
    if (due.empty())
        return queued;
    const auto whom = notify::failure_destination(about.sender, parts_->settings);
    if (whom == notify::destination::nobody) {
        parts_->log.warning(id + ": undeliverable postmaster notification discarded");
        return queued;
    }
    if (whom == notify::destination::postmaster) {
        if (kind != notify::kind::failure || !parts_->returns_double_bounces)
            return queued;
        kind = notify::kind::double_bounce;
    }
    auto original = queue::queue_file::open(parts_->spool, where, id, queue::access::read_only);
    auto notice = parts_->queue_one(kind, id, about, due, original ? &*original : nullptr);
    if (!notice)
        return tl::make_unexpected(notice.error());
    const char* what = kind == notify::kind::delay           ? ": sender delay notification: "
                       : kind == notify::kind::double_bounce ? ": postmaster non-delivery notification: "
                       : kind == notify::kind::failure       ? ": sender non-delivery notification: "
                                                             : ": sender delivery status notification: ";
    parts_->log.info(id + what + *notice);
    queued.push_back(std::move(*notice));
    return queued;
}

} // namespace mta::daemon
