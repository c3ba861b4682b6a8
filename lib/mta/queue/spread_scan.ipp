#pragma once

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <mta/queue/scanner.ipp>
#include <mta/queue/spread_scan.hpp>

namespace mta::queue {

namespace detail {

class spread_walk {
public:
    using visitor = std::function<scan_step(const scan_entry&)>;
    spread_walk(const spool& where, scan_order order, const visitor& visit, const scanner::skip_report& skipped)
        : where_(where), order_(order), visit_(visit), skipped_(skipped) {}

    result<void> run(std::string top, unsigned threads) {
        folders_.push_back({std::move(top), 0, {}, 0, false, false});
        std::vector<std::thread> helpers;
        {
            // An empty queue is not worth a thread.
            std::unique_lock lock(mutex_);
            work_once(lock);
            if (!folders_.empty() && !stopped_)
                for (unsigned i = 1; i < threads; ++i)
                    helpers.emplace_back([this] { work(); });
        }
        work();
        for (auto& one : helpers)
            one.join();
        return failed_ ? result<void>(tl::make_unexpected(*failed_)) : result<void>();
    }

private:
    static constexpr std::size_t piece_size = 2048;

    struct folder {
        std::string path; // from the root of the spool
        std::size_t level;
        directory_handle handle;
        unsigned workers;
        bool being_read;
        bool finished; // nothing is left to read
    };

    struct found {
        ino_t inode;
        std::string name;
        int type;
    };

    void work() {
        std::unique_lock lock(mutex_);
        while (work_once(lock))
            continue;
    }

    // One piece of a directory. False: nothing is left, for anybody.
    bool work_once(std::unique_lock<std::mutex>& lock) {
        auto chosen = choose();
        while (!stopped_ && chosen == folders_.end() && !folders_.empty()) {
            changed_.wait(lock);
            chosen = choose();
        }
        if (stopped_ || chosen == folders_.end())
            return false;
        auto& one = *chosen;
        one.being_read = true;
        ++one.workers;
        lock.unlock();
        std::vector<found> piece;
        std::list<folder> below;
        const bool more = read(one, piece, below);
        lock.lock();
        one.being_read = false;
        one.finished = !more;
        folders_.splice(folders_.end(), below);
        changed_.notify_all();
        lock.unlock();
        const bool go_on = handle(one, piece);
        lock.lock();
        stopped_ = stopped_ || !go_on;
        if (--one.workers == 0 && one.finished)
            folders_.erase(chosen);
        changed_.notify_all();
        return true;
    }

    // The directory with the fewest workers, rather one that is open.
    std::list<folder>::iterator choose() {
        auto best = folders_.end();
        for (auto at = folders_.begin(); at != folders_.end(); ++at)
            if (!at->being_read && !at->finished && (best == folders_.end() || rank(*at) < rank(*best)))
                best = at;
        return best;
    }
    static unsigned rank(const folder& one) noexcept { return 2 * one.workers + (one.handle ? 0U : 1U); }

    bool read(folder& one, std::vector<found>& piece, std::list<folder>& below) {
        if (!one.handle && !open(one))
            return false;
        piece.reserve(piece_size);
        while (piece.size() < piece_size) {
            errno = 0;
            const dirent* entry = ::readdir(one.handle.get());
            if (entry == nullptr) {
                if (errno != 0)
                    report(one, fail_errno("read directory " + one.path).value());
                return false;
            }
            const std::string_view name = entry->d_name;
            if (name.front() == '.')
                continue;
            // Where the kind is not known only trying tells.
            if (name.size() == 1 && one.level + 1 < max_scan_depth && is_directory(one, *entry))
                below.push_back({one.path + '/' + entry->d_name, one.level + 1, {}, 0, false, false});
            else
                piece.push_back({entry->d_ino, std::string(name), entry->d_type});
        }
        return true;
    }

    static bool is_directory(const folder& parent, const dirent& entry) {
        struct stat status {};
        return entry.d_type == DT_DIR ||
               (entry.d_type == DT_UNKNOWN &&
                ::fstatat(::dirfd(parent.handle.get()), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISDIR(status.st_mode));
    }

    bool open(folder& one) {
        unique_fd fd(::openat(where_.root_fd(), one.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (fd)
            one.handle.reset(::fdopendir(fd.get()));
        if (one.handle) {
            (void)fd.release();
            return true;
        }
        if (errno != ENOENT || one.level == 0)
            report(one, fail_errno("open directory " + one.path).value());
        return false;
    }

    void report(const folder& one, const error& why) {
        const std::lock_guard lock(reporting_);
        if (one.level == 0)
            failed_ = why;
        else if (skipped_)
            skipped_(why);
    }

    bool handle(const folder& one, std::vector<found>& piece) {
        if (order_ == scan_order::by_inode)
            std::sort(piece.begin(), piece.end(), [](const found& a, const found& b) { return a.inode < b.inode; });
        for (const auto& file : piece)
            if (visit_({file.name, ::dirfd(one.handle.get()), one.path, file.type}) == scan_step::stop)
                return false;
        return true;
    }

    const spool& where_;
    scan_order order_;
    const visitor& visit_;
    const scanner::skip_report& skipped_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<folder> folders_; // under mutex_, as are workers, being_read and finished
    bool stopped_ = false;      // under mutex_
    std::mutex reporting_;
    std::optional<error> failed_; // under reporting_
};

} // namespace detail

result<void> spread_scan(const spool& where, directory which, unsigned threads, scan_order order,
                         const std::function<scan_step(const scan_entry&)>& visit,
                         const scanner::skip_report& skipped) {
    return detail::spread_walk(where, order, visit, skipped).run(std::string(name(which)), threads);
}

result<bool> has_files(const spool& where, directory which) {
    scanner walk(where, which);
    auto first = walk.next();
    if (!first)
        return tl::make_unexpected(first.error());
    return first->has_value();
}

} // namespace mta::queue
