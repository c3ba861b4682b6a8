#include "postsuper.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include <mta/config/command_log.hpp>
#include <mta/config/locate.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/spool.hpp>

#include "structure.hpp"

namespace mta::postsuper {

namespace {

using queue::directory;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) {
    interrupted = 1;
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

struct counts {
    unsigned long requeued = 0;
    unsigned long deleted = 0;
    unsigned long expired = 0;
    unsigned long held = 0;
    unsigned long released = 0;
};

class command {
public:
    command(options opt, std::FILE* in) : opt_(std::move(opt)), in_(in), log_("postsuper") {}

    int run() {
        auto where = config::find_directory(opt_.config_directory);
        if (!where)
            log_.fatal(where.error());
        auto cfg = configuration::load(where->directory);
        if (!cfg)
            log_.fatal(cfg.error());
        log_.use(*cfg);
        become_owner(*cfg);
        auto opened = queue::spool::open(queue::spool_options_from(*cfg));
        if (!opened)
            log_.fatal(opened.error());
        spool_ = std::move(*opened);
        choose_queues();
        catch_signals();
        if (opt_.structure || opt_.long_structure || opt_.purge)
            check_structure();
        for (const auto& one : opt_.steps)
            if (interrupted == 0)
                perform(one);
        report();
        return 0;
    }

private:
    // Everything is done as the owner of the queue, so that no trick with links can use the superuser's rights.
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
            log_.fatal("file " + cfg.directory() + "/main.cf: parameter mail_owner: unknown user name value: " + name);
        (void)log_.log(); // the log file may be writable for root only
        if (auto dropped = drop_privileges((*owner)->uid, (*owner)->gid); !dropped)
            log_.fatal(dropped.error());
    }

    void choose_queues() {
        for (const auto& name : opt_.queues) {
            const auto which = queue::find_directory(name);
            if (!which || *which == directory::corrupt || *which == directory::saved)
                log_.fatal("invalid directory name: " + name);
            const bool message_queue = *which != directory::bounce && *which != directory::defer &&
                                       *which != directory::trace && *which != directory::flush;
            if (message_queue)
                messages_.push_back(*which);
            else if (!opt_.steps.empty())
                log_.fatal("invalid directory name: " + name);
            everything_.push_back(*which);
        }
        if (everything_.empty())
            everything_ = {directory::hold,   directory::incoming, directory::active, directory::deferred,
                           directory::maildrop, directory::bounce, directory::defer,  directory::trace,
                           directory::flush};
    }

    [[nodiscard]] std::vector<directory> scope(char action) const {
        if (!messages_.empty())
            return messages_;
        if (action == 'h')
            return {directory::incoming, directory::active, directory::deferred};
        if (action == 'H')
            return {directory::hold};
        return {directory::hold, directory::incoming, directory::active, directory::deferred};
    }

    void check_structure() {
        repair_options how;
        how.structure = opt_.structure || opt_.long_structure;
        how.long_names = opt_.long_structure;
        how.purge = opt_.purge;
        how.interrupted = [] { return interrupted != 0; };
        how.warn = [this](std::string_view text) { log_.warning(text); };
        auto done = repair(*spool_, everything_, how);
        if (!done)
            log_.fatal(done.error());
        if (done->renamed > 0) {
            summary("Renamed to match inode number", done->renamed);
            log_.warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
        }
        if (done->incomplete)
            log_.fatal("OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
        if (done->renamed > 0 && !opt_.steps.empty()) {
            log_.error("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
            log_.fatal("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND");
        }
    }

    void perform(const step& one) {
        asked_ += one.action;
        if (one.id == "ALL") {
            perform_all(one.action);
        } else if (one.id == "-") {
            std::array<char, 1024> line{};
            while (interrupted == 0 && std::fgets(line.data(), static_cast<int>(line.size()), in_) != nullptr) {
                std::string_view id = line.data();
                if (id.ends_with('\n'))
                    id.remove_suffix(1);
                perform_one(one.action, std::string(id));
            }
        } else
            perform_one(one.action, one.id);
    }

    void perform_one(char action, const std::string& id) {
        if (!queue::is_valid_queue_id(id)) {
            log_.warning("invalid mail queue id: " + printable(id));
            return;
        }
        // A message that moves while we look can be missed once, not twice.
        for (int attempt = 0; attempt < 2; ++attempt)
            for (const auto which : scope(action))
                if (apply(action, which, id, true))
                    return;
    }

    void perform_all(char action) {
        for (const auto which : scope(action)) {
            auto done = queue::scan(*spool_, which, [&](const queue::scan_entry& entry) {
                if (interrupted != 0)
                    return queue::scan_step::stop;
                if (queue::is_valid_queue_id(entry.name))
                    (void)apply(action, which, std::string(entry.name), false);
                return queue::scan_step::go_on;
            });
            if (!done)
                log_.fatal(done.error());
        }
    }

    // True when the message was there.
    bool apply(char action, directory which, const std::string& id, bool aloud) {
        switch (action) {
        case 'd':
            return remove(which, id, aloud);
        case 'e':
            return expire(which, id, aloud);
        case 'f': {
            const bool found = expire(which, id, aloud);
            if (found && which == directory::hold)
                (void)move(which, directory::deferred, id, aloud, "released from hold", tally_.released);
            return found;
        }
        case 'h':
            return which != directory::hold &&
                   move(which, directory::hold, id, aloud, "placed on hold", tally_.held);
        case 'H':
            return which == directory::hold &&
                   move(which, directory::deferred, id, aloud, "released from hold", tally_.released);
        default:
            return requeue(which, id, aloud);
        }
    }

    void say(const std::string& id, const char* what, bool aloud, unsigned long& counter) {
        ++counter;
        if (aloud)
            log_.info(id + ": " + what);
    }

    bool remove(directory which, const std::string& id, bool aloud) {
        auto found = spool_->status(which, id);
        if (!found)
            log_.fatal(found.error());
        if (!*found)
            return false;
        // The logs first: a log without a message would stay for ever.
        if (which != directory::maildrop)
            for (const auto log : {directory::bounce, directory::defer, directory::trace})
                if (auto gone = spool_->remove(log, id); !gone)
                    log_.warning(gone.error().text());
        auto gone = spool_->remove(which, id);
        if (!gone)
            log_.fatal(gone.error());
        if (*gone)
            say(id, "removed", aloud, tally_.deleted);
        return *gone;
    }

    bool move(directory from, directory to, const std::string& id, bool aloud, const char* what,
              unsigned long& counter) {
        if (auto moved = spool_->move(from, to, id); !moved) {
            if (moved.error().code == std::errc::no_such_file_or_directory)
                return false;
            log_.fatal(moved.error());
        }
        say(id, what, aloud, counter);
        return true;
    }

    bool requeue(directory which, const std::string& id, bool aloud) {
        if (which == directory::maildrop)
            return false;
        if (!move(which, directory::maildrop, id, aloud, "requeued", tally_.requeued))
            return false;
        timeval now{};
        ::gettimeofday(&now, nullptr);
        if (auto set = spool_->set_due(directory::maildrop, id, now);
            !set && set.error().code != std::errc::no_such_file_or_directory)
            log_.warning(set.error().text());
        return true;
    }

    bool expire(directory which, const std::string& id, bool aloud) {
        auto fd = spool_->open_file(which, id, O_RDONLY);
        if (!fd) {
            if (fd.error().code == std::errc::no_such_file_or_directory)
                return false;
            log_.fatal(fd.error());
        }
        struct stat status {};
        if (::fstat(fd->get(), &status) != 0 || !queue::is_complete(status.st_mode))
            return false;
        if (queue::is_force_expired(status.st_mode))
            return true;
        if (::fchmod(fd->get(), (status.st_mode & 07777U) | 0010U) != 0)
            log_.fatal(fail_errno("expire " + id).value());
        say(id, "expired", aloud, tally_.expired);
        return true;
    }

    void summary(const char* what, unsigned long count) {
        log_.info(std::string(what) + ": " + std::to_string(count) + (count == 1 ? " message" : " messages"));
    }

    void report() {
        const auto asked = [&](std::string_view actions) { return asked_.find_first_of(actions) != std::string::npos; };
        if (asked("r"))
            summary("Requeued", tally_.requeued);
        if (asked("d"))
            summary("Deleted", tally_.deleted);
        if (asked("ef"))
            summary("Force-expired", tally_.expired);
        if (asked("h"))
            summary("Placed on hold", tally_.held);
        if (asked("Hf"))
            summary("Released from hold", tally_.released);
    }

    options opt_;
    std::FILE* in_;
    config::command_log log_;
    std::optional<queue::spool> spool_;
    std::vector<directory> messages_;
    std::vector<directory> everything_;
    std::string asked_;
    counts tally_;
};

} // namespace

int run(options opt, std::FILE* in) {
    if (opt.steps.empty() && !opt.structure && !opt.long_structure && !opt.purge)
        opt.structure = opt.purge = true;
    return command(std::move(opt), in).run();
}

} // namespace mta::postsuper
