#include "structure.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>

#include <mta/core/unique_fd.hpp>
#include <mta/queue/ordered_reading.hpp>
#include <mta/queue/spread_scan.hpp>

#include "actions.hpp"
#include "name_filter.hpp"

namespace mta::postsuper {

namespace {

using queue::directory;
using queue::scan_entry;

constexpr std::string_view fix_suffix = "#FIX";
constexpr std::time_t leftover_age = std::time_t{7} * 24 * 3600;

bool holds_messages(directory which) {
    return which == directory::hold || which == directory::incoming || which == directory::active ||
           which == directory::deferred || which == directory::maildrop;
}

class repairer {
public:
    repairer(const queue::spool& spool, const repair_options& options) : spool_(spool), options_(options) {}

    result<repair_result> run(const std::vector<directory>& queues) {
        for (const auto log : message_logs) {
            auto there = queue::has_files(spool_, log);
            if (!there || *there) // one that cannot be read says so when it is needed
                present_logs_.push_back(log);
        }
        for (const auto which : queues)
            if (auto done = pass(which, [&](const scan_entry& entry) { return first(which, entry); }); !done)
                return tl::make_unexpected(done.error());
        if (changes_ && !stopped_) {
            auto all = queues;
            for (const auto log : message_logs) // they were renamed along with their messages
                if (std::find(all.begin(), all.end(), log) == all.end())
                    all.push_back(log);
            for (const auto which : all)
                if (auto done = pass(which, [&](const scan_entry& entry) { return second(which, entry); });
                    !done)
                    return tl::make_unexpected(done.error());
        }
        if (!stopped_)
            for (const auto which : queues)
                drop_directories(spool_.root_fd(), std::string(queue::name(which)), which, 0);
        return repair_result{renamed_, stopped_ && options_.structure};
    }

private:
    template <class Work>
    result<void> pass(directory which, const Work& work) {
        std::mutex failing;
        result<void> failed;
        const auto visit = [&](const scan_entry& entry) {
            if (options_.interrupted())
                stopped_ = true;
            auto done = stopped_ ? result<void>() : work(entry);
            if (done)
                return stopped_ ? queue::scan_step::stop : queue::scan_step::go_on;
            const std::lock_guard lock(failing);
            failed = done;
            return queue::scan_step::stop;
        };
        auto scanned = queue::spread_scan(spool_, which, queue::reading_threads(), queue::scan_order::as_found, visit,
                                         options_.skipped);
        return scanned ? failed : scanned;
    }

    void warn(const std::string& text) {
        const std::lock_guard lock(warning_);
        options_.warn(text);
    }

    static result<void> missing_is_fine(const std::string& what) {
        return errno == ENOENT ? result<void>() : fail_errno(what);
    }

    result<void> rename(directory which, const scan_entry& entry, std::string_view id) {
        const std::string source = std::string(entry.path) + '/' + std::string(entry.name);
        if (source == spool_.relative_path(which, id))
            return {};
        if (auto moved = spool_.move_file(spool_.root_fd(), source, which, id);
            !moved && moved.error().code != std::errc::no_such_file_or_directory)
            return moved;
        return {};
    }

    // Purges leftovers, marks wrong names, moves what lies in the wrong hash directory.
    result<void> first(directory which, const scan_entry& entry) {
        const std::string file(entry.name);
        const std::string path = std::string(entry.path) + '/' + file;
        const bool messages = holds_messages(which);
        struct stat status {};
        status.st_mode = S_IFREG;
        // Of a log the name is all that matters.
        if ((messages || entry.type != DT_REG) &&
            ::fstatat(entry.directory_fd, file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            return missing_is_fine("look at " + path);
        if (S_ISDIR(status.st_mode))
            return {};
        const bool leftover = options_.purge && messages && !queue::is_complete(status.st_mode) &&
                              std::time(nullptr) - status.st_mtime > leftover_age;
        // A mail system puts nothing but files here. Whatever else was planted goes.
        if (leftover || !S_ISREG(status.st_mode)) {
            if (::unlinkat(entry.directory_fd, file.c_str(), 0) != 0)
                return missing_is_fine("remove " + path);
            return {};
        }
        if (options_.structure && file.ends_with(fix_suffix)) {
            changes_ = true;
            return {};
        }
        // A file whose name is a hash directory's stands in its own way.
        const bool hashed = spool_.options().hashed.test(static_cast<std::size_t>(which));
        if (!queue::is_valid_queue_id(file) || (hashed && file.size() == 1)) {
            warn("bogus file name: " + path);
            return {};
        }
        if (!options_.structure)
            return {};
        if (messages) {
            const auto wanted = matching_name(file, status.st_ino);
            if (wanted != file)
                return perhaps_taken(wanted) ? mark(entry, file, wanted) : give_name(which, entry, file, wanted);
        }
        return rename(which, entry, file);
    }

    // The name that the file ought to have.
    std::string matching_name(const std::string& file, ino_t inode) const {
        const auto parts = queue::parse_queue_id(file);
        if (!parts)
            return file;
        const timeval when{static_cast<time_t>(parts->seconds),
                           static_cast<suseconds_t>(parts->microseconds)};
        const bool long_now = parts->form == queue::id_form::long_id;
        if (long_now && spool_.options().ids == queue::id_form::short_id)
            return queue::make_queue_id(when, inode, queue::id_form::short_id);
        if (parts->inode != inode && (!long_now || options_.long_names))
            return queue::make_queue_id(when, inode, parts->form);
        return file;
    }

    // Whether a file that is still to be renamed may have that name, in any queue: then it, or its logs, would be taken
    // for the other's.
    bool perhaps_taken(const std::string& name) {
        std::call_once(names_listed_, [this] {
            names_.emplace();
            for (const auto which : {directory::maildrop, directory::incoming, directory::active, directory::deferred,
                                     directory::hold})
                if (!queue::scan(
                        spool_, which,
                        [this](const scan_entry& entry) {
                            names_->add(entry.name);
                            return queue::scan_step::go_on;
                        },
                        [this](const error&) { names_unknown_ = true; }))
                    names_unknown_ = true;
        });
        return names_unknown_ || names_->perhaps(name);
    }

    // In one step. The logs first: a repair that was killed in between is finished by the next one.
    result<void> give_name(directory which, const scan_entry& entry, const std::string& file, const std::string& wanted) {
        for (const auto log : present_logs_)
            if (auto moved = move_log(log, file, wanted); !moved)
                return moved;
        changes_ = true;
        auto moved = spool_.move_file(entry.directory_fd, file, which, wanted);
        if (moved) {
            ++renamed_;
            return {};
        }
        if (moved.error().code != std::errc::no_such_file_or_directory)
            return moved;
        for (const auto log : present_logs_) // it has gone on to another queue
            if (auto back = move_log(log, wanted, file); !back)
                return back;
        return {};
    }

    result<void> move_log(directory log, const std::string& from, const std::string& to) const {
        auto moved = spool_.move_file(spool_.root_fd(), spool_.relative_path(log, from), log, to);
        return moved || moved.error().code == std::errc::no_such_file_or_directory ? result<void>() : moved;
    }

    // In two steps, where the other name may be in use until all files are marked. The logs first: when this ends in the
    // middle, the message still tells the next run which name they need.
    result<void> mark(const scan_entry& entry, const std::string& file, const std::string& wanted) {
        const std::string marked = wanted + std::string(fix_suffix);
        changes_ = true;
        if (auto done = rename_logs(file, file, marked); !done)
            return done;
        if (::renameat(entry.directory_fd, file.c_str(), entry.directory_fd, marked.c_str()) == 0)
            return {};
        const int why = errno;
        (void)rename_logs(file, marked, file); // somebody has moved the message: it keeps its name
        errno = why;
        return missing_is_fine("rename " + file + " to " + marked);
    }

    // The logs of that message, from one name to another in their directories.
    result<void> rename_logs(const std::string& message, const std::string& from, const std::string& to) {
        for (const auto log : present_logs_) {
            const auto path = spool_.relative_path(log, message);
            const auto folder = path.substr(0, path.rfind('/') + 1);
            if (::renameat(spool_.root_fd(), (folder + from).c_str(), spool_.root_fd(), (folder + to).c_str()) != 0 &&
                errno != ENOENT)
                return fail_errno("rename " + folder + from);
        }
        return {};
    }

    // Gives marked files their names.
    result<void> second(directory which, const scan_entry& entry) {
        if (!entry.name.ends_with(fix_suffix)) {
            if (!queue::is_valid_queue_id(entry.name) && entry.type == DT_REG)
                warn("bogus file name: " + std::string(entry.path) + '/' + std::string(entry.name));
            return {};
        }
        const auto id = entry.name.substr(0, entry.name.size() - fix_suffix.size());
        if (!queue::is_valid_queue_id(id))
            return {};
        renamed_ += holds_messages(which) ? 1 : 0;
        return rename(which, entry, id);
    }

    // Removes empty directories, save the hash directories that the configuration has a use for.
    void drop_directories(int parent, const std::string& path, directory which, int level) {
        if (level > 8)
            return;
        unique_fd fd(::openat(parent, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd)
            return;
        DIR* handle = ::fdopendir(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
        if (handle == nullptr)
            return;
        const auto& options = spool_.options();
        const int depth = options.hashed.test(static_cast<std::size_t>(which)) ? options.hash_depth : 0;
        while (const dirent* entry = ::readdir(handle)) {
            const std::string name = entry->d_name;
            if (name == "." || name == ".." || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
                continue;
            drop_directories(fd.get(), name, which, level + 1);
            if (level >= depth || name.size() != 1)
                (void)::unlinkat(fd.get(), name.c_str(), AT_REMOVEDIR);
        }
        ::closedir(handle);
    }

    const queue::spool& spool_;
    const repair_options& options_;
    std::vector<directory> present_logs_; // those that hold anything
    std::once_flag names_listed_;
    std::optional<name_filter> names_; // of all messages as they were
    std::atomic<bool> names_unknown_ = false;
    std::mutex warning_;
    std::atomic<unsigned long> renamed_ = 0;
    std::atomic<bool> changes_ = false;
    std::atomic<bool> stopped_ = false;
};

} // namespace

result<repair_result> repair(const queue::spool& spool, const std::vector<directory>& queues,
                             const repair_options& options) {
    return repairer(spool, options).run(queues);
}

} // namespace mta::postsuper
