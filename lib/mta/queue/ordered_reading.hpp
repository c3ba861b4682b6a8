// Reads the files of one queue on several threads, and hands out what was read in the order of the scan.
//
// Most of the time of a listing goes into opening files: several processors open more of them. Bounded: a few batches
// of names and results are in memory, whatever the size of the queue. The caller's thread scans, reads along and takes
// the results; the others only read. No thread outlives the call.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

struct scanned_file {
    int directory_fd = -1; // the directory that holds it
    std::string name;
    int type = 0; // DT_*
};

// One thread for each processor, at most eight: more only wait for the same disk.
[[nodiscard]] inline unsigned reading_threads() noexcept {
    return std::clamp(std::thread::hardware_concurrency(), 1U, 8U);
}

template <class Result>
class ordered_reading {
public:
    // read runs on any thread, also on several at once; nullopt: nothing to hand out. take runs on the caller's.
    using reader = std::function<std::optional<Result>(const scanned_file&)>;
    using taker = std::function<scan_step(Result&&)>;

    ordered_reading(unsigned threads, reader read) : read_(std::move(read)) {
        for (unsigned i = 1; i < threads; ++i)
            helpers_.emplace_back([this] { help(); });
    }
    ordered_reading(const ordered_reading&) = delete;
    ordered_reading& operator=(const ordered_reading&) = delete;
    ~ordered_reading() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        work_.notify_all();
        for (auto& one : helpers_)
            one.join();
    }

    // One queue from its beginning. May be called again for the next. Errors: the scan's.
    [[nodiscard]] result<scan_step> run(scanner files, const taker& take) {
        auto next = std::make_shared<batch>();
        open_directory last;
        for (;;) {
            auto entry = files.next();
            if (!entry)
                return tl::make_unexpected(entry.error());
            if (*entry)
                if (auto added = add(*next, **entry, last); !added)
                    return tl::make_unexpected(added.error());
            if (next->is_full() || (!*entry && !next->files.empty()))
                post(std::exchange(next, std::make_shared<batch>()));
            const std::size_t ahead = *entry ? 4 * (helpers_.size() + 1) : 0;
            while (order_.size() > ahead)
                if (hand_out(take) == scan_step::stop) {
                    drop();
                    return scan_step::stop;
                }
            if (!*entry)
                return scan_step::go_on;
        }
    }

private:
    static constexpr std::size_t batch_size = 32;
    static constexpr std::size_t batch_directories = 4; // each is a descriptor

    // The scan closes a directory that it has left; its files may still be waiting then.
    struct open_directory {
        std::string path;
        std::shared_ptr<unique_fd> fd;
    };

    struct batch {
        std::vector<scanned_file> files;
        std::vector<std::shared_ptr<unique_fd>> directories; // theirs
        std::vector<Result> results;
        bool done = false; // under mutex_

        [[nodiscard]] bool is_full() const noexcept {
            return files.size() == batch_size || directories.size() == batch_directories;
        }
    };
    using batch_ptr = std::shared_ptr<batch>;

    static result<void> add(batch& to, const scan_entry& entry, open_directory& last) {
        if (!last.fd || last.path != entry.path) {
            last = {std::string(entry.path), std::make_shared<unique_fd>(::fcntl(entry.directory_fd, F_DUPFD_CLOEXEC, 3))};
            if (!*last.fd)
                return fail_errno("keep directory " + last.path + " open");
        }
        if (to.directories.empty() || to.directories.back() != last.fd)
            to.directories.push_back(last.fd);
        to.files.push_back({last.fd->get(), std::string(entry.name), entry.type});
        return {};
    }

    void post(batch_ptr one) {
        order_.push_back(one);
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(one));
        }
        work_.notify_one();
    }

    // Nobody wants what is still waiting.
    void drop() {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
        order_.clear();
    }

    scan_step hand_out(const taker& take) {
        const auto first = std::move(order_.front());
        order_.pop_front();
        std::unique_lock lock(mutex_);
        while (!first->done) {
            if (waiting_.empty())
                finished_.wait(lock);
            else
                work_one(lock);
        }
        lock.unlock();
        for (auto& one : first->results)
            if (take(std::move(one)) == scan_step::stop)
                return scan_step::stop;
        return scan_step::go_on;
    }

    void help() {
        std::unique_lock lock(mutex_);
        for (;;) {
            work_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
            if (closed_)
                return;
            work_one(lock);
        }
    }

    // Holds the lock at call and return, not while it reads.
    void work_one(std::unique_lock<std::mutex>& lock) {
        const auto one = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        for (const auto& file : one->files)
            if (auto read = read_(file))
                one->results.push_back(std::move(*read));
        lock.lock();
        one->done = true;
        finished_.notify_all();
    }

    reader read_;
    std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable finished_;
    std::deque<batch_ptr> waiting_; // under mutex_
    bool closed_ = false;           // under mutex_
    std::deque<batch_ptr> order_;   // the caller's alone
    std::vector<std::thread> helpers_;
};

} // namespace mta::queue
