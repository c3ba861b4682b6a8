// What people are told at the end of an attempt: returned mail, delay warnings, delivery reports. The last
// part of queue_manager; all of it but the last function runs on the disk pool.
#include <algorithm>
#include <ctime>
#include <unordered_set>

#include "queue_manager.hpp"

namespace mta::daemon {

using notice_ids = std::vector<std::string>;
using queue::directory;

namespace {

void append(notice_ids& to, notice_ids&& more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

} // namespace

// What an earlier attempt logged, and died before it told the sender: of recipients that are done. One that
// is still to be served has a new result by now, and what is logged about it counts no more.
result<std::vector<queue::log_entry>> queue_manager::left_unreported(const queue::spool& spool,
                                                                     const active_message& message) {
    std::vector<queue::log_entry> out;
    if (!message.seen_before)
        return out;
    auto entries = queue::read_log(spool, directory::bounce, message.id);
    if (!entries)
        return entries;
    std::unordered_set<long long> open;
    for (const auto& to : message.envelope.recipients)
        open.insert(to.offset);
    std::ranges::copy_if(*entries, std::back_inserter(out),
                         [&](const queue::log_entry& one) { return !open.contains(one.offset); });
    if (out.size() < entries->size()) {
        (void)spool.remove(directory::bounce, message.id);
        if (!out.empty())
            if (auto kept = queue::append_log(spool, directory::bounce, message.id, out); !kept)
                return tl::make_unexpected(kept.error());
    }
    return out;
}

// Bounce log, notice, marks: each on disk before the next.
result<notice_ids> queue_manager::return_bounced(const queue::spool& spool, notice_sender& notices,
                                                 const active_message& message) {
    const auto& id = message.id;
    auto file = queue::queue_file::open(spool, directory::active, id);
    if (!file && file.error().code == std::errc::no_such_file_or_directory) {
        (void)spool.remove(directory::bounce, id);
        return notice_ids{}; // deleted by an administrator: nobody is told of what nobody wants
    }
    if (!file)
        return tl::make_unexpected(file.error());
    auto entries = left_unreported(spool, message);
    if (!entries)
        return tl::make_unexpected(entries.error());
    entries->insert(entries->end(), message.bounced.begin(), message.bounced.end());
    if (entries->empty())
        return notice_ids{};
    if (!message.bounced.empty())
        if (auto logged = queue::append_log(spool, directory::bounce, id, message.bounced); !logged)
            return tl::make_unexpected(logged.error());
    auto queued = notices.report(notify::kind::failure, id, directory::active, message.envelope, *entries);
    if (!queued)
        return queued;
    for (const auto& entry : message.bounced)
        if (auto marked = file->mark_done(entry.offset); !marked)
            return tl::make_unexpected(marked.error());
    (void)spool.remove(directory::bounce, id);
    return queued;
}

// A warning that cannot be queued now is due again at the next attempt.
notice_ids queue_manager::warn_of_delay(const queue::spool& spool, notice_sender& notices,
                                        const active_message& message) {
    auto queued = notices.report(notify::kind::delay, message.id, directory::active, message.envelope,
                                 message.deferred);
    if (!queued)
        return {};
    auto file = queue::queue_file::open(spool, directory::active, message.id);
    if (file && message.envelope.warn_offset > 0)
        (void)queue::set_warn_time(file->fd(), message.envelope.warn_offset, 0);
    return std::move(*queued);
}

// The trace log keeps what a crash would forget, and carries what another queue manager has left.
result<notice_ids> queue_manager::report_deliveries(const queue::spool& spool, notice_sender& notices,
                                                    const active_message& message) {
    const auto& id = message.id;
    if (!message.reported.empty())
        if (auto logged = queue::append_log(spool, directory::trace, id, message.reported); !logged)
            return tl::make_unexpected(logged.error());
    auto entries = queue::read_log(spool, directory::trace, id);
    if (!entries)
        return tl::make_unexpected(entries.error());
    if (entries->empty())
        return notice_ids{};
    const auto flags = message.envelope.trace_flags;
    const bool asked = (flags & (queue::trace_record | queue::trace_user_probe)) != 0;
    auto queued = notices.report(asked ? notify::kind::probe : notify::kind::success, id, directory::active,
                                 message.envelope, *entries);
    if (!queued)
        return queued;
    if (asked && message.envelope.trace_flags_offset > 0) {
        // Only the first attempt is reported.
        auto file = queue::queue_file::open(spool, directory::active, id);
        if (file)
            (void)queue::kill_record(file->fd(), message.envelope.trace_flags_offset);
    }
    (void)spool.remove(directory::trace, id);
    return queued;
}

bool queue_manager::warning_due(const active_message& message) {
    const auto warn = message.envelope.warn_time;
    return !message.deferred.empty() && warn > 0 && ::time(nullptr) >= warn;
}

boost::asio::awaitable<void> queue_manager::finish_with_notices(message_ptr message) {
    const auto busy = worker_.busy();
    const auto* spool = &worker_.spool();
    auto job = [spool, message, notices = notices_]() mutable -> result<notice_ids> {
        auto queued = return_bounced(*spool, notices, *message);
        if (!queued)
            return queued;
        if (warning_due(*message))
            append(*queued, warn_of_delay(*spool, notices, *message));
        // A report that cannot be made never holds mail back.
        if (!message->reported.empty() || message->seen_before)
            if (auto reports = report_deliveries(*spool, notices, *message))
                append(*queued, std::move(*reports));
        return queued;
    };
    ++notices_running_;
    // One notice at a time, and it may wait for a table: flushes of others must not queue behind it.
    auto done = co_await worker_.notices().run(std::move(job));
    --notices_running_;
    if (!done) {
        log_.warning(message->id + ": notice not sent, will be tried again: " + done.error().text());
        // What bounced is not marked: it is tried again with the rest.
        for (auto& entry : message->bounced) {
            entry.action = "delayed";
            message->deferred.push_back(std::move(entry));
        }
    } else {
        for (const auto& id : *done)
            arrived(id);
    }
    message->bounced.clear();
    end(message);
    if (worker_.stopping())
        make_way();
}

} // namespace mta::daemon
