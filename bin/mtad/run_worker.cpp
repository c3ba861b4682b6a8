#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <mta/config/command_log.hpp>
#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>

#include "configuration_at_hand.hpp"
#include "control.hpp"
#include "run_worker.hpp"
#include "services.hpp"

namespace mta::daemon {
namespace {

// Takes the endpoints of some programs out of all.
std::vector<endpoint> take_programs(std::vector<endpoint>& all, std::initializer_list<std::string_view> programs) {
    std::vector<endpoint> out;
    const auto wanted = [&](const endpoint& one) { return std::ranges::find(programs, one.program) != programs.end(); };
    const auto rest = std::stable_partition(all.begin(), all.end(), [&](const endpoint& one) { return !wanted(one); });
    std::move(rest, all.end(), std::back_inserter(out));
    all.erase(rest, all.end());
    return out;
}

// What a worker has to say while it starts it says once, when it does.
class fatal_only final : public log_sink {
public:
    explicit fatal_only(std::shared_ptr<log_sink> next) : next_(std::move(next)) {}
    void write(severity level, std::string_view tag, unsigned long number, std::string_view text) override {
        if (level >= severity::fatal)
            next_->write(level, tag, number, text);
    }

private:
    std::shared_ptr<log_sink> next_;
};

result<void> start_services(worker& owner, std::vector<endpoint> endpoints) {
    if (owner.role() == "queue")
        return start_queue(owner, std::move(endpoints));
    if (owner.role() == "send")
        return start_smtp(owner, std::move(endpoints));
    if (owner.role() == "tables")
        return start_tables(owner, std::move(endpoints));
    if (owner.role() == "deliver")
        return start_deliver(owner, std::move(endpoints));
    for (auto& one : take_programs(endpoints, {"pickup"}))
        if (auto started = start_pickup(owner, std::move(one)); !started)
            return started;
    return start_smtpd(owner, take_programs(endpoints, {"smtpd"}));
}

} // namespace

int run_worker(const std::string& role, const std::string& config_directory, worker_purpose purpose) {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN); // the supervisor tells what to do
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    if (!adopt_files_at_hand())
        return 1;
    auto cfg = config::configuration::load(config_directory);
    if (!cfg)
        return 1; // the supervisor has read the same: it says what is wrong
    auto log = config::open_mail_log(*cfg, role == "receive"   ? "smtpd"
                                           : role == "queue"   ? "qmgr"
                                           : role == "deliver" ? "local"
                                           : role == "tables"  ? "proxymap"
                                                               : "smtp");
    if (!log)
        return 1;
    if (purpose == worker_purpose::rehearsal)
        *log = logger(std::make_shared<fatal_only>(log->sink()), log->tag());
    utf8_is_printable = (*cfg)[param::smtputf8_enable];
    table::set_environment(*cfg, *log);
    boost::asio::io_context io(1);
    worker self(io, role, *cfg, *log);
    // Once: a successor that cannot open the table either would be no help.
    table::set_unreadable_table_handler([&self, &io, asked = std::make_shared<std::atomic<bool>>()](const std::string& why) {
        if (!asked->exchange(true))
            boost::asio::post(io, [&self, why] { self.request_successor(why); });
    });
    const auto fatal = [&](const error& reason) {
        log->fatal(reason.text());
        return 1;
    };
    auto setup = self.receive_setup(control_fd);
    if (!setup)
        return setup.error().code == errc::closed ? 0 : fatal(setup.error());
    if (auto started = start_services(self, std::move(setup->endpoints)); !started)
        return fatal(started.error());
    if (auto dropped = self.drop(); !dropped)
        return fatal(dropped.error());
    if (purpose == worker_purpose::serve)
        self.run();
    // What still runs (sessions beyond the stop limit, threads that wait for a disk) may hold on to anything here: the
    // process ends at once, which is no worse than the SIGKILL that everything is built to survive.
    ::_exit(0);
}

} // namespace mta::daemon
