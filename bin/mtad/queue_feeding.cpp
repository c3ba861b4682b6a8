// The queue manager's feeding: from notices, triggers and scans of the queue to active messages.
#include <mta/address/parts.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/delivery/delays.hpp>
#include <mta/queue/errc.hpp>

#include "queue_manager.hpp"

namespace mta::daemon {
namespace {

constexpr int messages_per_turn = 20; // then other coroutines get the loop

} // namespace

// Files whose deliveries outlived an earlier queue worker are taken over as these end.
boost::asio::awaitable<void> queue_manager::recover_all() {
    auto pause = std::chrono::milliseconds(500);
    while (!worker_.stopping() && !recover_active()) {
        (void)co_await net::sleep_for(pause);
        pause = std::min<std::chrono::milliseconds>(pause * 2, std::chrono::seconds(30));
    }
}

boost::asio::awaitable<void> queue_manager::scan_periodically() {
    while (!worker_.stopping()) {
        (void)co_await net::sleep_for(worker_.cfg()[param::queue_run_delay]);
        if (worker_.stopping())
            break;
        (void)recover_active();
        scan_soon(queue::directory::incoming, time_stamps::respected);
        scan_soon(queue::directory::deferred, time_stamps::respected);
    }
}

// What is in active/ and not in our hands was left by an earlier queue worker. A delivery of its time may
// still be running: then the file is locked, and the answer is false.
bool queue_manager::recover_active() {
    std::vector<std::string> found;
    (void)queue::scan(worker_.spool(), queue::directory::active, [&](const queue::scan_entry& entry) {
        if (queue::is_valid_queue_id(entry.name) && !active_.contains(std::string(entry.name)))
            found.emplace_back(entry.name);
        return queue::scan_step::go_on;
    });
    bool all = true;
    for (const auto& id : found) {
        auto file = queue::queue_file::open(worker_.spool(), queue::directory::active, id);
        if (!file)
            continue;
        auto locked = file->try_lock(lock_mode::exclusive);
        if (!locked || !*locked) {
            log_.info(id + ": skipped, still being delivered");
            all = false;
            continue;
        }
        if (auto moved = worker_.spool().move(queue::directory::active, queue::directory::incoming, id);
            moved)
            arrived(id);
        else
            log_.warning(id + ": " + moved.error().text());
    }
    return all;
}

void queue_manager::arrived(const std::string& id) {
    if (gone()) {
        wake_successor();
        return;
    }
    if (arrivals_.size() < 10000)
        arrivals_.push_back(id);
    else
        scan_soon(queue::directory::incoming, time_stamps::respected);
    feed_soon();
}

// Through the socket that everybody uses, which is the successor's by now.
void queue_manager::wake_successor() {
    (void)worker_.local_ipc().start([path = worker_.spool().root() + "/public/qmgr"] {
        constexpr std::chrono::seconds limit{2};
        if (auto socket = connect_local(path, limit))
            (void)send_all(socket->get(), "I", limit);
    });
}

void queue_manager::trigger(std::string_view requests) {
    const auto stamps =
        requests.find('A') != std::string_view::npos ? time_stamps::ignored : time_stamps::respected;
    if (requests.find('F') != std::string_view::npos)
        scheduler_.forgive();
    if (requests.find_first_of("IW") != std::string_view::npos)
        scan_soon(queue::directory::incoming, stamps);
    if (requests.find('D') != std::string_view::npos)
        scan_soon(queue::directory::deferred, stamps);
}

void queue_manager::scan_soon(queue::directory which, time_stamps how) {
    auto& state = which == queue::directory::incoming ? incoming_ : deferred_;
    if (state.scanner) {
        // What has arrived behind the running scan is for the next one.
        state.again = true;
        if (how == time_stamps::ignored)
            state.again_stamps = how;
    } else {
        state.scanner.emplace(worker_.spool(), which);
        state.stamps = how;
    }
    feed_soon();
}

void queue_manager::feed_soon() {
    if (!begun_ || gone() || std::exchange(feed_posted_, true))
        return;
    boost::asio::post(worker_.io(), [this] {
        feed_posted_ = false;
        feed();
    });
}

// Fair between new and old mail: one of each in turn.
void queue_manager::feed() {
    const auto limit = static_cast<std::size_t>(worker_.cfg()[param::qmgr_message_active_limit]);
    for (int count = 0; count < messages_per_turn; ++count) {
        if (worker_.stopping() || active_.size() >= limit)
            break;
        const bool old_first = ++turn_ % 2 == 0;
        if (old_first && feed_from_scan(queue::directory::deferred))
            continue;
        if (!arrivals_.empty()) {
            const auto id = std::move(arrivals_.front());
            arrivals_.pop_front();
            activate(id, queue::directory::incoming);
            continue;
        }
        if (feed_from_scan(queue::directory::incoming) || feed_from_scan(queue::directory::deferred))
            continue;
        dispatch();
        return;
    }
    dispatch();
    if (!worker_.stopping() && active_.size() < limit)
        feed_soon();
}

// Looks at one more file of a running scan. False when there is none.
bool queue_manager::feed_from_scan(queue::directory which) {
    auto& state = which == queue::directory::incoming ? incoming_ : deferred_;
    if (!state.scanner)
        return false;
    auto entry = state.scanner->next();
    if (!entry)
        log_.warning("scan " + std::string(queue::name(which)) + ": " + entry.error().text());
    if (!entry || !*entry) {
        state.scanner.reset();
        if (std::exchange(state.again, false)) {
            state.scanner.emplace(worker_.spool(), which);
            state.stamps = std::exchange(state.again_stamps, time_stamps::respected);
        }
        return state.scanner.has_value();
    }
    const std::string id((*entry)->name);
    if (!queue::is_valid_queue_id(id) || active_.contains(id))
        return true;
    struct stat status {};
    if (::fstatat((*entry)->directory_fd, id.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return true; // gone meanwhile
    if (state.stamps == time_stamps::respected && status.st_mtime > ::time(nullptr))
        return true;
    activate(id, which);
    return true;
}

// Locks the file, takes it into active/ and reads its envelope. nullopt when it is not (or no longer) ours to
// take.
std::optional<queue::queue_file> queue_manager::claim(const std::string& id, queue::directory from,
                                                      active_message& into) {
    auto file = queue::queue_file::open(worker_.spool(), from, id);
    if (!file) {
        if (file.error().code != std::errc::no_such_file_or_directory)
            log_.warning(id + ": " + file.error().text());
        return std::nullopt;
    }
    const auto mode = file->status().st_mode;
    if (!queue::is_complete(mode) && !queue::is_marked_corrupt(mode))
        return std::nullopt; // still being written
    auto locked = file->try_lock(lock_mode::exclusive);
    if (!locked || !*locked) {
        log_.info(id + ": skipped, still being delivered");
        return std::nullopt;
    }
    if (queue::is_marked_corrupt(mode)) {
        if (auto moved = worker_.spool().move(from, queue::directory::active, id); moved)
            quarantine(id, error{errc::malformed, "marked corrupt"});
        return std::nullopt;
    }
    if (auto moved = worker_.spool().move(from, queue::directory::active, id); !moved) {
        // Deleted by an administrator, unless it is active/ that is missing.
        struct stat status {};
        if (moved.error().code != std::errc::no_such_file_or_directory ||
            ::stat(worker_.spool().path(from, id).c_str(), &status) == 0)
            log_.warning(id + ": cannot make the message active: " + moved.error().text());
        return std::nullopt;
    }
    auto envelope = file->read_envelope();
    if (!envelope) {
        quarantine(id, envelope.error());
        return std::nullopt;
    }
    into.envelope = std::move(*envelope);
    into.force_expired = queue::is_force_expired(mode);
    if (queue::is_unthrottled(mode))
        scheduler_.forgive();
    return std::move(*file);
}

void queue_manager::activate(const std::string& id, queue::directory from) {
    if (active_.contains(id))
        return;
    auto message = std::make_shared<active_message>();
    message->id = id;
    message->active = delivery::now_timeval();
    message->seen_before = from == queue::directory::deferred;
    {
        const auto file = claim(id, from, *message);
        if (!file)
            return;
        // A recovered message may have a bounce log that no notice was made of yet; its file is old.
        const auto& status = file->status();
        message->seen_before = message->seen_before || status.st_mtime + 2 < message->active.tv_sec;
    }
    if (message->seen_before)
        (void)worker_.spool().remove(queue::directory::defer, id); // the reasons of this attempt replace it
    active_.emplace(id, message);
    log_active(*message);
    route_all(message);
}

void queue_manager::log_active(const active_message& message) const {
    std::string storage;
    const auto& e = message.envelope;
    const auto size = e.size ? e.size->content_size : 0;
    std::string line = message.id + ": from=<";
    line.append(address::quoted_view(e.sender, storage)).append(">, size=").append(std::to_string(size));
    line.append(", nrcpt=").append(std::to_string(e.recipients.size())).append(" (queue active)");
    log_.info(line);
}

void queue_manager::quarantine(const std::string& id, const error& why) {
    log_.warning(id + ": message rejected: " + why.text());
    log_.warning("saving corrupt file \"" + id + "\" from queue \"active\" to queue \"corrupt\"");
    if (auto moved = worker_.spool().move(queue::directory::active, queue::directory::corrupt, id); !moved)
        log_.error(id + ": " + moved.error().text());
}

} // namespace mta::daemon
