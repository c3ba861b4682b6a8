#include <sys/stat.h>
#include <sys/time.h>

#include <mta/address/parts.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/rewrite/domains.hpp>
#include <mta/table/match_list.hpp>

#include "flush_server.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

constexpr std::chrono::seconds request_limit{10};
constexpr std::size_t longest_request = 8192;

enum flush_status : int { flush_ok = 0, flush_failed = -1, flush_bad = 3, flush_not_eligible = 4 };

// Makes one deferred message due: its time is now, dead destinations do not count, and it moves to incoming/.
result<bool> release(const queue::spool& spool, const std::string& id) {
    auto file = queue::queue_file::open(spool, queue::directory::deferred, id);
    if (!file) {
        if (file.error().code == std::errc::no_such_file_or_directory)
            return false;
        return tl::make_unexpected(file.error());
    }
    const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (::fchmod(file->fd(), (file->status().st_mode | 0040U) & 07777U) != 0 || ::futimens(file->fd(), now) != 0)
        return fail_errno("flush " + id);
    if (auto moved = spool.move(queue::directory::deferred, queue::directory::incoming, id); !moved)
        return tl::make_unexpected(moved.error());
    (void)spool.remove(queue::directory::defer, id); // a file in incoming/ that is new has no reasons yet
    return true;
}

bool goes_to(const queue::envelope& envelope, std::string_view site) {
    for (const auto& to : envelope.recipients)
        if (iequals(address::split_address(to.address).domain, site))
            return true;
    return false;
}

// Mail for the site is found by looking: every deferred file's recipients.
int release_site(const queue::spool& spool, const std::string& site) {
    std::vector<std::string> found;
    auto scanned = queue::scan(spool, queue::directory::deferred, [&](const queue::scan_entry& entry) {
        const std::string id(entry.name);
        if (!queue::is_valid_queue_id(id))
            return queue::scan_step::go_on;
        auto file = queue::queue_file::open(spool, queue::directory::deferred, id, queue::access::read_only);
        if (file)
            if (auto envelope = file->read_envelope(); envelope && goes_to(*envelope, site))
                found.push_back(id);
        return queue::scan_step::go_on;
    });
    for (const auto& id : found)
        (void)release(spool, id);
    return scanned ? flush_ok : flush_failed;
}

// Whether fast_flush_domains lets mail for the site be asked for. The list is read anew each time: requests are rare.
result<bool> is_eligible(const configuration& cfg, std::string_view site) {
    auto sites = table::match_list::open("fast_flush_domains", cfg[param::fast_flush_domains],
                                         rewrite::parent_style_of(cfg, "fast_flush_domains"));
    if (!sites)
        return tl::make_unexpected(sites.error());
    return sites->matches_name(site);
}

int perform(const queue::spool& spool, const configuration& cfg, const attr_list& request) {
    const auto what = request.get("request");
    if (what == "send_site" || what == "add") {
        const auto eligible = is_eligible(cfg, request.get("site"));
        if (!eligible)
            return flush_failed;
        if (!*eligible)
            return flush_not_eligible;
    }
    if (what == "send_file") {
        const std::string id(request.get("queue_id"));
        if (!queue::is_valid_queue_id(id))
            return flush_bad;
        return release(spool, id) ? flush_ok : flush_failed;
    }
    if (what == "send_site")
        return release_site(spool, std::string(request.get("site")));
    // No per-site logs are kept, so there is nothing to add to, to refresh or to purge.
    if (what == "add" || what == "rfrsh" || what == "purge")
        return flush_ok;
    return flush_bad;
}

boost::asio::awaitable<void> serve_one(worker& owner, net::stream peer,
                                       std::function<void(std::string_view)> trigger) {
    const std::string greeting = attr_writer().put("protocol", "queue_flush_protocol").finish();
    auto greeted = co_await peer.write(greeting, request_limit);
    std::string bytes;
    std::string chunk(1024, '\0');
    while (greeted && bytes.size() < longest_request) {
        auto got = co_await peer.read_some(chunk.data(), chunk.size(), request_limit);
        if (!got)
            co_return;
        bytes.append(chunk, 0, *got);
        if (bytes == "W") // the wake-up byte of the master
            co_return;
        auto list = attr_list::parse(bytes);
        if (!list)
            continue; // more is to come
        const auto* spool = &owner.spool();
        const auto* cfg = &owner.cfg();
        auto job = [spool, cfg, request = std::move(*list)]() -> result<int> { return perform(*spool, *cfg, request); };
        auto status = co_await owner.local_ipc().run(std::move(job));
        const std::string answer = attr_writer().put("status", status ? *status : flush_failed).finish();
        trigger("I");
        (void)co_await peer.write(answer, request_limit);
        co_return;
    }
}

} // namespace

void serve_flush(worker& owner, endpoint& where, std::function<void(std::string_view)> trigger) {
    serve_connections(owner, where, [&owner, trigger = std::move(trigger)](net::stream peer) {
        return serve_one(owner, std::move(peer), trigger);
    });
}

} // namespace mta::daemon
