#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>

#include <mta/address/parts.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/flush_log.hpp>
#include <mta/queue/queue_file.hpp>

#include "flush_server.hpp"
#include "trigger.hpp"

namespace mta::daemon {

using queue::flush_status;

namespace {

constexpr std::chrono::seconds request_limit{10};
constexpr std::chrono::seconds usual_wakeup{1000}; // of flush in master.cf
constexpr std::size_t longest_request = 8192;
constexpr std::size_t most_notes = 10000;

enum class dead_destinations { respected, forgotten };

// Makes one deferred message due: its time is now, and it moves to incoming/.
result<bool> release(const queue::spool& spool, const std::string& id, dead_destinations how) {
    auto file = queue::queue_file::open(spool, queue::directory::deferred, id);
    if (!file) {
        if (file.error().code == std::errc::no_such_file_or_directory)
            return false;
        return tl::make_unexpected(file.error());
    }
    const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    const auto mode = file->status().st_mode;
    if ((how == dead_destinations::forgotten && ::fchmod(file->fd(), (mode | 0040U) & 07777U) != 0) ||
        ::futimens(file->fd(), now) != 0)
        return fail_errno("flush " + id);
    if (auto moved = spool.move(queue::directory::deferred, queue::directory::incoming, id); !moved)
        return tl::make_unexpected(moved.error());
    (void)spool.remove(queue::directory::defer, id); // a file in incoming/ that is new has no reasons yet
    return true;
}

} // namespace

result<std::shared_ptr<flush_server>> flush_server::open(worker& owner, const configuration& cfg,
                                                         std::function<void(std::string_view)> trigger) {
    auto sites = rewrite::flush_sites::open(cfg);
    if (!sites)
        return tl::make_unexpected(sites.error());
    const ages limits{cfg[param::fast_flush_refresh_time].count(), cfg[param::fast_flush_purge_time].count()};
    return std::shared_ptr<flush_server>(
        new flush_server(owner, std::make_shared<rewrite::flush_sites>(std::move(*sites)), limits, std::move(trigger)));
}

flush_status flush_server::perform(const queue::spool& spool, rewrite::flush_sites& sites, const ages& limits,
                                   const attr_list& request) {
    const auto what = request.get("request");
    const std::string site(request.get("site"));
    const std::string id(request.get("queue_id"));
    if (what == "send_site" || what == "add") {
        const auto eligible = sites.has(site);
        if (!eligible)
            return flush_status::failed;
        if (!*eligible)
            return flush_status::not_eligible;
    }
    if ((what == "send_file" || what == "add") && !queue::is_valid_queue_id(id))
        return flush_status::bad_request;
    if (what == "send_file")
        return release(spool, id, dead_destinations::forgotten) ? flush_status::done : flush_status::failed;
    if (what == "add")
        return queue::append_flush_log(spool, site, id) ? flush_status::done : flush_status::failed;
    if (what == "send_site")
        return queue::drain_flush_log(spool, site,
                                      [&](const std::string& one) {
                                          (void)release(spool, one, dead_destinations::forgotten);
                                      })
                   ? flush_status::done
                   : flush_status::failed;
    if (what == "rfrsh" || what == "purge")
        return queue::refresh_flush_logs(spool, {what == "rfrsh" ? limits.refresh : 0, limits.purge},
                                         [&](const std::string& one) {
                                             (void)release(spool, one, dead_destinations::respected);
                                         })
                   ? flush_status::done
                   : flush_status::failed;
    return flush_status::bad_request;
}

void flush_server::write(const queue::spool& spool, rewrite::flush_sites& sites, const std::vector<note>& notes) {
    for (const auto& one : notes)
        for (const auto& site : one.sites)
            if (const auto eligible = sites.has(site); eligible && *eligible)
                (void)queue::append_flush_log(spool, site, one.id); // a hint: without it, the usual time
}

boost::asio::awaitable<void> flush_server::serve_one(net::stream peer) {
    const std::string greeting = attr_writer().put("protocol", "queue_flush_protocol").finish();
    auto greeted = co_await peer.write(greeting, request_limit);
    std::string bytes;
    std::string chunk(1024, '\0');
    while (greeted && bytes.size() < longest_request) {
        auto got = co_await peer.read_some(chunk.data(), chunk.size(), request_limit);
        if (!got)
            co_return;
        bytes.append(chunk, 0, *got);
        if (bytes == "W") { // the wake-up byte of the master
            co_await refresh();
            co_return;
        }
        auto list = attr_list::parse(bytes);
        if (!list)
            continue; // more is to come
        auto job = [spool = &owner_.spool(), sites = sites_, limits = ages_,
                    request = std::move(*list)]() -> result<flush_status> { return perform(*spool, *sites, limits, request); };
        auto status = co_await owner_.local_ipc().run(std::move(job));
        const std::string answer = attr_writer().put("status", static_cast<int>(status.value_or(flush_status::failed))).finish();
        trigger_("I");
        (void)co_await peer.write(answer, request_limit);
        co_return;
    }
}

boost::asio::awaitable<void> flush_server::refresh() {
    auto job = [spool = &owner_.spool(), sites = sites_, limits = ages_]() -> result<flush_status> {
        const auto request = attr_list::parse(attr_writer().put("request", "rfrsh").finish());
        return perform(*spool, *sites, limits, *request);
    };
    auto done = co_await owner_.local_ipc().run(std::move(job));
    if (done && *done == flush_status::failed)
        owner_.log().warning("flush: the logs of sites cannot be read");
    trigger_("I");
}

boost::asio::awaitable<void> flush_server::refresh_periodically(std::chrono::seconds period) {
    while (!owner_.stopping()) {
        (void)co_await net::sleep_for(period);
        if (!owner_.stopping())
            co_await refresh();
    }
}

boost::asio::awaitable<void> flush_server::write_notes() {
    const auto busy = owner_.busy();
    while (!notes_.empty()) {
        auto job = [spool = &owner_.spool(), sites = sites_, notes = std::exchange(notes_, {})]() -> result<flush_status> {
            write(*spool, *sites, notes);
            return flush_status::done;
        };
        (void)co_await owner_.local_ipc().run(std::move(job));
    }
    writing_ = false;
}

void flush_server::deferred(const std::string& id, std::span<const queue::log_entry> recipients) {
    if (sites_->empty() || notes_.size() >= most_notes)
        return;
    note one{id, {}};
    for (const auto& to : recipients) {
        auto site = lower(address::split_address(to.recipient).domain);
        if (!site.empty() && std::find(one.sites.begin(), one.sites.end(), site) == one.sites.end())
            one.sites.push_back(std::move(site));
    }
    notes_.push_back(std::move(one));
    if (!std::exchange(writing_, true))
        owner_.spawn(write_notes());
}

void flush_server::serve(endpoint& where) {
    const auto self = shared_from_this();
    serve_connections(owner_, where, [self](net::stream peer) { return self->serve_one(std::move(peer)); });
    if (!sites_->empty())
        owner_.spawn(refresh_periodically(where.wakeup > 0 ? std::chrono::seconds(where.wakeup) : usual_wakeup));
}

} // namespace mta::daemon
