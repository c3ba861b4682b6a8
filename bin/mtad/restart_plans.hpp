// When processes that ended are started again.
//
// At once; but one that ends by its own fault within seconds of its start is started after a delay that doubles each
// time, up to service_throttle_time.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace mta::daemon {

class restart_plans {
public:
    using clock = std::chrono::steady_clock;

    // A process ended with that status of waitpid(2). True when it is not started again at once.
    bool ended(const std::string& what, int status, clock::time_point started, bool was_ready, std::chrono::seconds longest) {
        auto& one = plans_[what];
        const bool own_fault = !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
        const bool quick = !was_ready || clock::now() - started < quick_end;
        one.quick_ends = own_fault && quick ? one.quick_ends + 1 : 0;
        one.pending = true;
        one.at = clock::now();
        if (one.quick_ends == 0)
            return false;
        one.at += std::min(std::chrono::seconds(1) * (1 << std::min(one.quick_ends - 1, 10)), longest);
        return true;
    }

    // It could not be started: once more after that time.
    void again_after(const std::string& what, std::chrono::seconds delay) {
        auto& one = plans_[what];
        one.at = clock::now() + delay;
        one.pending = true;
    }

    // One that is due, which is no longer planned then.
    [[nodiscard]] std::optional<std::string> take_due() {
        for (auto& [what, one] : plans_)
            if (one.pending && one.at <= clock::now()) {
                one.pending = false;
                return what;
            }
        return std::nullopt;
    }

    // When the next one is due, or that time when it is earlier.
    [[nodiscard]] clock::time_point next_before(clock::time_point limit) const {
        for (const auto& [what, one] : plans_)
            if (one.pending)
                limit = std::min(limit, one.at);
        return limit;
    }

    void clear() { plans_.clear(); }

private:
    static constexpr std::chrono::seconds quick_end{10};
    struct plan {
        clock::time_point at;
        int quick_ends = 0;
        bool pending = false;
    };
    std::map<std::string, plan> plans_;
};

} // namespace mta::daemon
