// Which batch of recipients is delivered next: transports, destinations, and their concurrency windows.
//
// A destination is one nexthop of one transport (with a recipient limit of 1: one recipient). Each has a window that
// opens by one with every good round and closes by one with every failed one (initial_destination_concurrency,
// default_destination_concurrency_limit); when it has closed the destination is dead, what waits for it is handed
// back, and it is left alone for a while (minimal_backoff_time, transport_retry_time).
//
// Values and clock come from the caller: no I/O, no timers, no threads. Memory is bounded by what was added.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mta::delivery {

// What a transport allows, from its NAME_destination_… parameters and its maxproc column.
struct transport_limits {
    int initial_concurrency = 5;
    int concurrency = 20;      // 0: no limit
    int recipients = 50;       // of one batch; 0: no limit
    int processes = 100;       // deliveries at once over all destinations; 0: no limit
    int failed_cohorts = 1;    // pseudo-cohort failures in a row that make a destination dead
    std::chrono::seconds retry{60};
};

// Some recipients of one message for one destination. The scheduler does not look inside.
struct batch {
    unsigned long serial = 0;
    std::string message; // queue ID
    std::string transport;
    std::string nexthop;
    std::vector<std::size_t> recipients; // indexes the caller understands
};

class scheduler {
public:
    using time_point = std::chrono::steady_clock::time_point;

    // Called once for a transport that is seen for the first time.
    using limits_source = std::function<transport_limits(const std::string& transport)>;
    explicit scheduler(limits_source limits) : limits_(std::move(limits)) {}

    [[nodiscard]] const transport_limits& limits(const std::string& name) { return transport_at(name).limits; }

    // Queues work for a destination; queue_key tells destinations of one nexthop apart (usually the nexthop). When
    // the destination is dead the work comes straight back, with the reason.
    struct refusal {
        batch work;
        std::string reason;
    };
    [[nodiscard]] std::optional<refusal> add(batch work, const std::string& queue_key, time_point now);

    // The next batch that may start now, or nullopt. Transports for which usable answers false are passed over.
    template <class Usable>
    [[nodiscard]] std::optional<batch> next(Usable usable) {
        for (auto& [name, one] : transports_)
            if (!one.ready.empty() && usable(name))
                if (auto work = take(one))
                    return work;
        return std::nullopt;
    }

    // Whether more work for the destination of a started batch is waiting.
    [[nodiscard]] bool more_waits(unsigned long serial) const;

    enum class feedback { good, failed, none };
    // A started batch has ended. reason is why the destination failed. Returns what waited for a destination that is
    // dead from now on.
    [[nodiscard]] std::vector<refusal> finished(unsigned long serial, feedback how, const std::string& reason,
                                                time_point now);

    // Forgets dead destinations: a flush.
    void forgive();

    [[nodiscard]] std::size_t in_flight() const noexcept { return started_.size(); }
    // How many destinations are remembered: those with work, and the dead.
    [[nodiscard]] std::size_t destinations() const noexcept {
        std::size_t count = 0;
        for (const auto& [name, one] : transports_)
            count += one.destinations.size();
        return count;
    }

private:
    struct transport;
    struct destination {
        transport* owner = nullptr;
        std::string key;
        std::deque<batch> waiting;
        double window = 1;
        int busy = 0;
        double failed_cohorts = 0; // since the last success
        bool listed = false; // in ready
        time_point dead_until{};
        std::string reason;
    };
    struct transport {
        transport_limits limits;
        int busy = 0;
        std::map<std::string, destination> destinations;
        std::deque<destination*> ready; // destinations with waiting work and room, round robin
        time_point next_sweep{};
    };

    transport& transport_at(const std::string& name);
    [[nodiscard]] std::optional<batch> take(transport& from);
    void list(destination& one);
    [[nodiscard]] static bool has_room(const destination& one) noexcept {
        return one.busy < static_cast<int>(one.window);
    }
    static void sweep(transport& through, time_point now);
    void open_window(destination& one) const;
    void close_window(destination& one, const std::string& reason, time_point now) const;

    limits_source limits_;
    std::map<std::string, transport> transports_;
    std::map<unsigned long, destination*> started_;
};

} // namespace mta::delivery
