// Finished SMTP sessions kept open for a short time, for the next delivery to the same nexthop.
//
// A kept session is idle: nothing was said since the last reply, and nothing came. One that got bytes or an end of
// file while it waited is dropped. At most `max_kept` are kept over all destinations.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mta/net/stream.hpp>
#include <mta/smtp/client_session.hpp>

#include "smtp_targets.hpp"

namespace mta::daemon {

struct smtp_connection {
    net::stream stream;
    std::unique_ptr<smtp::client_session> session;
    smtp_target target;
    std::chrono::steady_clock::time_point opened{};
    std::chrono::steady_clock::time_point kept{};
    int uses = 0;
};

class smtp_cache {
public:
    static constexpr std::size_t max_kept = 200;

    void put(const std::string& nexthop, smtp_connection connection) {
        if (count_ >= max_kept) {
            end(connection);
            return;
        }
        connection.kept = std::chrono::steady_clock::now();
        kept_[nexthop].push_back(std::move(connection));
        ++count_;
    }

    // The one kept last, still silent; nullopt when there is none.
    [[nodiscard]] std::optional<smtp_connection> take(const std::string& nexthop, net::milliseconds reuse_limit,
                                                      long long count_limit) {
        const auto found = kept_.find(nexthop);
        while (found != kept_.end() && !found->second.empty()) {
            smtp_connection last = std::move(found->second.back());
            found->second.pop_back();
            --count_;
            const bool fresh = std::chrono::steady_clock::now() - last.opened < reuse_limit;
            if (fresh && (count_limit <= 0 || last.uses < count_limit) && !last.stream.readable_now())
                return last;
            end(last);
        }
        return std::nullopt;
    }

    // Ends those kept for longer than limit.
    void sweep(net::milliseconds limit) {
        const auto now = std::chrono::steady_clock::now();
        for (auto group = kept_.begin(); group != kept_.end();) {
            auto& list = group->second;
            for (auto& one : list)
                if (now - one.kept >= limit)
                    end(one);
            count_ -= std::erase_if(list, [](const smtp_connection& one) { return !one.stream.is_open(); });
            group = list.empty() ? kept_.erase(group) : std::next(group);
        }
    }

    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

private:
    // A polite end that waits for nobody.
    static void end(smtp_connection& connection) {
        connection.session->quit();
        (void)connection.stream.try_write(connection.session->take_output());
        connection.stream.close();
    }

    std::map<std::string, std::vector<smtp_connection>> kept_;
    std::size_t count_ = 0;
};

} // namespace mta::daemon
