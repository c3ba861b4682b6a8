#include "postsuper.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/progress.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/listing.hpp>
#include <mta/queue/spool.hpp>

#include "actions.hpp"
#include "report.hpp"
#include "structure.hpp"

namespace mta::postsuper {

namespace {

using queue::directory;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int number) {
    interrupted = number;
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
        struct sigaction before {};
        // What the caller ignores (nohup) stays ignored.
        if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
            ::sigaction(number, &action, nullptr);
    }
}

class command {
public:
    command(options opt, std::FILE* in, std::FILE* out)
        : opt_(std::move(opt)), in_(in), out_(out), log_("postsuper") {}

    int run() {
        auto where = config::find_directory(opt_.config_directory);
        if (!where)
            log_.fatal(where.error());
        auto cfg = configuration::load(where->directory);
        if (!cfg)
            log_.fatal(cfg.error());
        log_.use_checked(*cfg);
        become_owner(*cfg);
        auto opened = queue::spool::open(queue::spool_options_from(*cfg));
        if (!opened)
            log_.fatal(opened.error());
        spool_ = std::move(*opened);
        actions_.emplace(*spool_);
        listing_.empty_address = cfg->text("empty_address_recipient");
        listing_.warn = [this](std::string_view text) { log_.warning(text); };
        now_ = static_cast<long long>(std::time(nullptr));
        choose_queues();
        catch_signals();
        if (opt_.structure || opt_.long_structure || opt_.purge)
            check_structure();
        for (const auto& one : opt_.steps)
            if (interrupted == 0)
                perform(one);
        progress_.clear();
        said_.summary(actions_->tally(), asked_, renamed_);
        return interrupted != 0 ? interrupted : unread_ ? 1 : 0;
    }

private:
    // Everything is done as the owner of the queue, so that no trick with links can use the superuser's
    // rights.
    void become_owner(const configuration& cfg) {
        struct stat status {};
        const auto& root = cfg[param::queue_directory];
        if (::getuid() != 0) {
            // The queue of an ordinary user's own mail system is that user's.
            if (::stat(root.c_str(), &status) != 0 || status.st_uid != ::getuid())
                log_.fatal("use of this command is reserved for the superuser");
            return;
        }
        const auto& name = cfg[param::mail_owner];
        auto owner = find_user(name);
        if (!owner || !*owner)
            log_.fatal("file " + cfg.directory() +
                       "/main.cf: parameter mail_owner: unknown user name value: " + name);
        (void)log_.log(); // the log file may be writable for root only
        if (auto dropped = drop_privileges((*owner)->uid, (*owner)->gid); !dropped)
            log_.fatal(dropped.error());
    }

    // Asked at each file, by any thread.
    bool stop_here() {
        progress_.count();
        return interrupted != 0;
    }

    void choose_queues() {
        for (const auto& name : opt_.queues) {
            const auto which = queue::find_directory(name);
            if (!which || *which == directory::corrupt || *which == directory::saved)
                log_.fatal("invalid directory name: " + name);
            named_.push_back(*which);
        }
    }

    // For a hash directory that cannot be read: the others are treated all the same, and the status tells.
    queue::scanner::skip_report skipped() {
        return [this](const error& why) {
            log_.warning(why.text());
            unread_ = true;
        };
    }

    // In the order in which a message passes through them, so that one that moves on meanwhile is still met.
    static constexpr std::array<directory, 5> message_queues = {
        directory::maildrop, directory::incoming, directory::active, directory::deferred, directory::hold};

    // The queues in which that action looks for messages. Never maildrop, save to delete: what is there has
    // no mail system to obey yet.
    [[nodiscard]] std::vector<directory> scope(char action) const {
        std::vector<directory> found;
        for (const auto which : message_queues) {
            if (!named_.empty() && std::find(named_.begin(), named_.end(), which) == named_.end())
                continue;
            if ((which == directory::maildrop && action != 'd') ||
                (which == directory::hold && action == 'h') || (which != directory::hold && action == 'H'))
                continue;
            found.push_back(which);
        }
        return found;
    }

    void check_structure() {
        repair_options how;
        how.structure = opt_.structure || opt_.long_structure;
        how.long_names = opt_.long_structure;
        how.purge = opt_.purge;
        how.interrupted = [this] { return stop_here(); };
        how.warn = [this](std::string_view text) { log_.warning(text); };
        how.skipped = skipped();
        const std::vector<directory> everything = {
            directory::bounce,   directory::defer,    directory::trace,
            directory::maildrop, directory::incoming, directory::active,
            directory::deferred, directory::hold,     directory::flush};
        auto done = repair(*spool_, named_.empty() ? everything : named_, how);
        if (!done)
            log_.fatal(done.error());
        if (done->incomplete)
            log_.fatal("OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
        renamed_ = done->renamed;
        const bool ids_named =
            std::any_of(opt_.steps.begin(), opt_.steps.end(), [](const step& s) { return s.id != "ALL"; });
        if (renamed_ > 0 && ids_named) {
            log_.error("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
            log_.fatal("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND");
        }
    }

    void perform(const step& one) {
        asked_ += one.action;
        if (one.id == "ALL")
            perform_all(one.action);
        else if (one.id == "-")
            perform_lines(one.action);
        else
            perform_one(one.action, one.id);
    }

    void perform_lines(char action) {
        char* line = nullptr;
        std::size_t room = 0;
        ssize_t length = 0;
        while (interrupted == 0 && (length = ::getline(&line, &room, in_)) > 0) {
            // As far as the first NUL.
            std::string_view id(line);
            if (id.ends_with('\n'))
                id.remove_suffix(1);
            perform_one(action, std::string(id));
        }
        std::free(line); // NOLINT: getline allocates
    }

    void perform_one(char action, const std::string& id) {
        if (!queue::is_valid_queue_id(id)) {
            log_.warning("invalid mail queue id: " + id);
            return;
        }
        if (action == 'f') {
            perform_one('e', id);
            perform_one('H', id);
            return;
        }
        // A message that moves while we look can be missed once, not twice.
        for (int attempt = 0; attempt < 2; ++attempt)
            for (const auto which : scope(action)) {
                auto status = spool_->status(which, id);
                if (!status)
                    log_.fatal(status.error());
                if (!*status || !queue::is_complete((*status)->st_mode))
                    continue;
                const found_file file{which, spool_->root_fd(), spool_->relative_path(which, id), id,
                                      **status};
                treat(action, file, actions::time_stamps::reset, true);
                return;
            }
    }

    // Of a file that is only moved, nothing but its kind is of interest, and the directory tells that.
    static bool moves(char action) { return action == 'h' || action == 'H' || action == 'r'; }

    void perform_all(char action) {
        for (const auto which : scope(action))
            perform_all_of(action, which);
        if (action == 'd' && opt_.selection.empty() && !opt_.dry_run)
            remove_logs();
    }

    void perform_all_of(char action, directory which) {
        if (action == 'd' && opt_.selection.empty() && !opt_.dry_run) {
            check(actions_->remove_all(
                which, [this] { return stop_here(); },
                [this](const found_file& file) { said_.tell('d', file, false); }, skipped()));
            return;
        }
        auto done = queue::scan(*spool_, which, [&](const queue::scan_entry& entry) {
            if (stop_here())
                return queue::scan_step::stop;
            found_file file{which, entry.directory_fd, std::string(entry.name), std::string(entry.name), {}};
            file.status.st_mode = S_IFREG;
            if (!(moves(action) && entry.type == DT_REG) &&
                ::fstatat(file.directory_fd, file.path.c_str(), &file.status, AT_SYMLINK_NOFOLLOW) != 0)
                return queue::scan_step::go_on;
            if (!S_ISREG(file.status.st_mode) && !S_ISDIR(file.status.st_mode)) {
                if (opt_.selection.empty() && !opt_.dry_run)
                    (void)apply('d', file, actions::time_stamps::keep);
            } else if (action == 'd' || queue::is_valid_queue_id(file.id)) {
                if (S_ISREG(file.status.st_mode))
                    treat(action, file, actions::time_stamps::keep, false);
            } else
                log_.warning("bogus file name: " + std::string(entry.path) + '/' + file.id);
            return queue::scan_step::go_on;
        }, skipped());
        if (!done)
            log_.fatal(done.error());
    }

    // After all messages: what is left in the directories of logs.
    void remove_logs() {
        for (const auto which : {directory::defer, directory::bounce})
            if (named_.empty())
                check(actions_->remove_lost_logs(which));
        for (const auto which : named_)
            if (which == directory::defer || which == directory::bounce || which == directory::trace)
                perform_all_of('d', which);
    }

    template <class T>
    void check(const result<T>& done) {
        if (!done)
            log_.fatal(done.error());
    }

    // One message that was met: named, or on the way through a queue.
    void treat(char action, const found_file& file, actions::time_stamps times, bool named) {
        if (!selected(file) || !(opt_.dry_run ? applies(action, file) : apply(action, file, times)))
            return;
        said_.tell(action, file, named);
    }

    [[nodiscard]] bool selected(const found_file& file) const {
        if (opt_.selection.empty())
            return true;
        const auto message =
            queue::list_message(*spool_, listing_, file.where, file.directory_fd, file.path, file.id);
        return message && opt_.selection.matches(*message, now_, listing_.empty_address);
    }

    // Whether the action would change anything.
    [[nodiscard]] static bool applies(char action, const found_file& file) {
        const auto mode = file.status.st_mode;
        if (action == 'd')
            return queue::is_complete(mode); // half a message goes, too, and is nobody's mail
        if (action != 'e' && action != 'f')
            return true;
        return (queue::is_complete(mode) && !queue::is_force_expired(mode)) ||
               (action == 'f' && file.where == directory::hold);
    }

    bool apply(char action, const found_file& file, actions::time_stamps times) {
        result<bool> done = false;
        switch (action) {
        case 'd':
            done = actions_->remove(file);
            break;
        case 'e':
            done = expire(file);
            break;
        case 'f':
            done = expire(file);
            if (done)
                if (auto released = actions_->release(file); !released || *released)
                    done = released;
            break;
        case 'h':
            done = actions_->hold(file);
            break;
        case 'H':
            done = actions_->release(file);
            break;
        default:
            done = actions_->requeue(file, times);
        }
        if (!done)
            log_.fatal(done.error());
        return *done;
    }

    // A file that cannot be opened keeps no other from its end.
    result<bool> expire(const found_file& file) {
        auto done = actions_->expire(file);
        if (done)
            return done;
        log_.warning(done.error().text());
        return false;
    }

    options opt_;
    std::FILE* in_;
    std::FILE* out_;
    config::command_log log_;
    report said_{opt_, log_, out_};
    progress progress_{"postsuper", stderr};
    std::optional<queue::spool> spool_;
    std::optional<actions> actions_;
    std::vector<directory> named_; // empty: what is usual for each action
    std::string asked_;
    unsigned long renamed_ = 0;
    bool unread_ = false; // a directory could not be read
    queue::listing_options listing_;
    long long now_ = 0;
};

} // namespace

int run(options opt, std::FILE* in, std::FILE* out) {
    if (opt.steps.empty() && !opt.structure && !opt.long_structure && !opt.purge)
        opt.structure = opt.purge = true;
    return command(std::move(opt), in, out).run();
}

} // namespace mta::postsuper
