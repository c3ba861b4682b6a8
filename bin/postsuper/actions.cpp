#include "actions.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <mutex>

#include <mta/queue/errc.hpp>
#include <mta/queue/ordered_reading.hpp>
#include <mta/queue/spread_scan.hpp>

namespace mta::postsuper {

using queue::directory;

result<bool> actions::remove(const found_file& file) {
    auto gone = unlink_all(file, message_logs);
    if (gone && *gone)
        ++tally_.deleted;
    return gone;
}

result<bool> actions::unlink_all(const found_file& file, std::span<const directory> logs) const {
    // The logs first: a log without a message would stay for ever.
    if (queue::is_valid_queue_id(file.id))
        for (const auto log : logs)
            if (auto gone = spool_.remove(log, file.id); !gone)
                return gone;
    if (::unlinkat(file.directory_fd, file.path.c_str(), 0) != 0) {
        if (errno == ENOENT)
            return false;
        return fail_errno("remove file " + file.path);
    }
    // Half a message was nobody's mail; a planted link counts, as it does for the reference.
    return (file.status.st_mode & 0700U) == 0700U;
}

result<void> actions::remove_all(directory which, const std::function<bool()>& interrupted,
                                 const std::function<void(const found_file&)>& removed,
                                 const queue::scanner::skip_report& skipped) {
    // Most queues have no bounce and no trace log at all: nobody asks for them message by message then.
    std::vector<directory> logs;
    std::vector<directory> absent;
    for (const auto log : message_logs) {
        auto there = queue::has_files(spool_, log);
        if (!there)
            return tl::make_unexpected(there.error());
        (*there ? logs : absent).push_back(log);
    }
    std::mutex one_at_a_time;
    result<void> failed;
    const auto visit = [&](const queue::scan_entry& entry) {
        const std::string name(entry.name);
        found_file file{which, entry.directory_fd, name, name, {}};
        if (interrupted())
            return queue::scan_step::stop;
        if (::fstatat(file.directory_fd, name.c_str(), &file.status, AT_SYMLINK_NOFOLLOW) != 0 ||
            S_ISDIR(file.status.st_mode))
            return queue::scan_step::go_on;
        const auto gone = unlink_all(file, logs);
        const std::lock_guard lock(one_at_a_time);
        if (!gone)
            failed = tl::make_unexpected(gone.error());
        else if (*gone) {
            ++tally_.deleted;
            removed(file);
        }
        return gone ? queue::scan_step::go_on : queue::scan_step::stop;
    };
    auto scanned = queue::spread_scan(spool_, which, queue::reading_threads(), queue::scan_order::by_inode, visit,
                                     skipped);
    if (!scanned || !failed)
        return scanned ? failed : scanned;
    // What a mail system has begun to write meanwhile.
    for (const auto log : absent)
        if (auto swept = remove_lost_logs(log); !swept)
            return swept;
    return {};
}

result<bool> actions::move(const found_file& file, directory to, unsigned long& counter) {
    if (auto moved = spool_.move_file(file.directory_fd, file.path, to, file.id); !moved) {
        if (moved.error().code == std::errc::no_such_file_or_directory)
            return false;
        return tl::make_unexpected(moved.error());
    }
    ++counter;
    return true;
}

result<bool> actions::hold(const found_file& file) {
    if (file.where == directory::hold || file.where == directory::maildrop)
        return false;
    return move(file, directory::hold, tally_.held);
}

result<bool> actions::release(const found_file& file) {
    if (file.where != directory::hold)
        return false;
    return move(file, directory::deferred, tally_.released);
}

result<bool> actions::requeue(const found_file& file, time_stamps times) {
    if (file.where == directory::maildrop)
        return false;
    auto moved = move(file, directory::maildrop, tally_.requeued);
    if (!moved || !*moved || times == time_stamps::keep)
        return moved;
    timeval now{};
    ::gettimeofday(&now, nullptr);
    if (auto set = spool_.set_due(directory::maildrop, file.id, now);
        !set && set.error().code != std::errc::no_such_file_or_directory)
        return tl::make_unexpected(set.error());
    return true;
}

result<bool> actions::expire(const found_file& file) {
    if (file.where == directory::maildrop || !queue::is_complete(file.status.st_mode) ||
        queue::is_force_expired(file.status.st_mode))
        return false;
    // By descriptor: the name may be somebody else's link by now.
    const unique_fd fd(
        ::openat(file.directory_fd, file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0)
        return errno == ENOENT
                   ? result<bool>(false)
                   : fail_errno("expire file " + spool_.relative_path(file.where, file.id) + ": cannot open file");
    if (!queue::is_complete(status.st_mode))
        return false;
    if (::fchmod(fd.get(), (status.st_mode & 07777U) | 0010U) != 0)
        return fail_errno("expire file " + file.path);
    ++tally_.expired;
    return true;
}

result<void> actions::remove_lost_logs(directory which) {
    queue::scanner walk(spool_, which);
    for (;;) {
        auto entry = walk.next();
        if (!entry)
            return tl::make_unexpected(entry.error());
        if (!*entry)
            return {};
        const std::string name((*entry)->name);
        if (queue::is_valid_queue_id(name)) {
            bool there = false;
            // Twice: a message that moves against our order is missed once.
            for (int look = 0; look < 2 && !there; ++look) {
                auto message = spool_.find(name, {directory::maildrop, directory::incoming, directory::active,
                                                  directory::deferred, directory::hold});
                if (!message)
                    return tl::make_unexpected(message.error());
                there = message->has_value();
            }
            if (there)
                continue;
        }
        if (::unlinkat((*entry)->directory_fd, name.c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR)
            return fail_errno("remove file " + std::string((*entry)->path) + '/' + name);
    }
}

const char* done_to(char action) {
    switch (action) {
    case 'd':
        return "removed";
    case 'e':
        return "expired";
    case 'h':
        return "placed on hold";
    case 'H':
        return "released from hold";
    default:
        return "requeued";
    }
}

const char* action_word(char action) {
    switch (action) {
    case 'd':
        return "delete";
    case 'e':
        return "expire";
    case 'f':
        return "expire and release";
    case 'h':
        return "hold";
    case 'H':
        return "release";
    default:
        return "requeue";
    }
}

} // namespace mta::postsuper
