#include <algorithm>

#include <mta/delivery/scheduler.hpp>

namespace mta::delivery {

scheduler::transport& scheduler::transport_at(const std::string& name) {
    const auto [it, added] = transports_.try_emplace(name);
    if (added)
        it->second.limits = limits_(name);
    return it->second;
}

void scheduler::list(destination& one) {
    if (one.listed || one.waiting.empty() || !has_room(one))
        return;
    one.listed = true;
    one.owner->ready.push_back(&one);
}

// Forgets dead destinations that nobody has asked for in a whole retry time after they might have been tried again;
// once a retry time, since it looks at all.
void scheduler::sweep(transport& through, time_point now) {
    if (now < through.next_sweep)
        return;
    through.next_sweep = now + std::max(through.limits.retry, std::chrono::seconds(1));
    std::erase_if(through.destinations, [now](const auto& entry) {
        const auto& one = entry.second;
        return one.busy == 0 && one.waiting.empty() && one.dead_until + one.owner->limits.retry <= now;
    });
}

std::optional<scheduler::refusal> scheduler::add(batch work, const std::string& queue_key, time_point now) {
    auto& through = transport_at(work.transport);
    sweep(through, now);
    const auto [it, added] = through.destinations.try_emplace(queue_key);
    auto& one = it->second;
    if (added) {
        one.owner = &through;
        one.key = queue_key;
        one.window = through.limits.concurrency > 0
                         ? std::min(through.limits.initial_concurrency, through.limits.concurrency)
                         : through.limits.initial_concurrency;
    }
    if (one.dead_until > now)
        return refusal{std::move(work), one.reason};
    if (one.dead_until != time_point{}) {
        // The time of leaving it alone is over: try it carefully.
        one.dead_until = {};
        one.window = 1;
    }
    one.waiting.push_back(std::move(work));
    list(one);
    return std::nullopt;
}

std::optional<batch> scheduler::take(transport& from) {
    if (from.limits.processes > 0 && from.busy >= from.limits.processes)
        return std::nullopt;
    auto& one = *from.ready.front();
    from.ready.pop_front();
    one.listed = false;
    batch work = std::move(one.waiting.front());
    one.waiting.pop_front();
    ++one.busy;
    ++from.busy;
    started_[work.serial] = &one;
    list(one); // at the end of the line: others are served in between
    return work;
}

bool scheduler::more_waits(unsigned long serial) const {
    const auto it = started_.find(serial);
    return it != started_.end() && !it->second->waiting.empty();
}

// One more for each window's worth of successes.
void scheduler::open_window(destination& one) const {
    one.failed_cohorts = 0;
    const auto& limits = one.owner->limits;
    if (limits.concurrency == 0 || one.window < limits.concurrency)
        one.window += 1.0;
    if (limits.concurrency > 0)
        one.window = std::min(one.window, static_cast<double>(limits.concurrency));
}

void scheduler::close_window(destination& one, const std::string& reason, time_point now) const {
    // A cohort is a window's worth of deliveries: each failure is its share of one.
    one.failed_cohorts += 1.0 / one.window;
    one.window = std::max(1.0, one.window - 1.0);
    constexpr double rounding = 1e-9;
    // A limit of 0 means that no destination is ever dead.
    if (one.owner->limits.failed_cohorts > 0 && one.failed_cohorts + rounding >= one.owner->limits.failed_cohorts) {
        one.window = 1.0;
        one.failed_cohorts = 0;
        one.dead_until = now + one.owner->limits.retry;
        one.reason = reason;
    }
}

std::vector<scheduler::refusal> scheduler::finished(unsigned long serial, feedback how, const std::string& reason,
                                                    time_point now) {
    std::vector<refusal> back;
    const auto it = started_.find(serial);
    if (it == started_.end())
        return back;
    auto& one = *it->second;
    auto& through = *one.owner;
    started_.erase(it);
    --one.busy;
    --through.busy;
    if (how == feedback::good)
        open_window(one);
    else if (how == feedback::failed)
        close_window(one, reason, now);
    if (one.dead_until > now) {
        for (auto& work : std::exchange(one.waiting, {}))
            back.push_back({std::move(work), one.reason});
        if (std::exchange(one.listed, false))
            std::erase(through.ready, &one);
    }
    list(one);
    // Nothing to remember about an idle destination in good standing.
    if (one.busy == 0 && one.waiting.empty() && one.dead_until <= now)
        through.destinations.erase(std::string(one.key));
    return back;
}

void scheduler::forgive() {
    for (auto& [name, through] : transports_) {
        for (auto& [key, one] : through.destinations)
            one.dead_until = {};
        std::erase_if(through.destinations,
                      [](const auto& entry) { return entry.second.busy == 0 && entry.second.waiting.empty(); });
    }
}

} // namespace mta::delivery
