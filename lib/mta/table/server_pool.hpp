// The servers of one table (parameter hosts): which to ask next, which to leave alone for a while.
//
// Servers are asked in random order (or as they were written); those behind a Unix socket before those behind a network, those with an open
// connection before those without. One that failed is left alone for a time that doubles from one second up to
// retry_interval, so that a server that was restarted is back at once and a dead one costs little. When every server
// is being left alone there is no answer now: try again later.
//
// A connection that had been used before and breaks is no failed server yet: servers close idle connections and
// restart. It is opened anew, once, before the server counts as failed.
//
// Not thread-safe; one pool a table. No I/O of its own: Connection does it.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::table {

// One word of hosts.
struct server_address {
    enum class kind { local, network, uri } what = kind::network;
    std::string host; // or the path of the socket, or the whole URI
    std::string port; // empty: the protocol's default
    std::string text; // as the administrator wrote it

    // "unix:/path", "inet:host:port", "host", "host:port", "[2001:db8::1]:port", "proto://…".
    [[nodiscard]] static server_address parse(std::string_view word);
};

enum class trial {
    done,    // the server answered
    refused, // it answers, but not this question: another one may
    broken,  // the connection is of no more use
    hung,    // nor would another one to that server be
};

enum class server_order { random, as_written };

struct pool_options {
    std::chrono::milliseconds idle{60'000};  // an open connection is closed after this long without use
    std::chrono::milliseconds retry{60'000}; // the longest that a failed server is left alone
    server_order order = server_order::random;
};

// Connection needs: nothing; it is closed by its destructor.
template <class Connection>
class server_pool {
public:
    using clock = std::chrono::steady_clock;
    using open_function = std::function<result<std::unique_ptr<Connection>>(const server_address&)>;
    using warn_function = std::function<void(const std::string&)>;

    server_pool(const std::vector<std::string>& hosts, open_function open, warn_function warn, pool_options options,
                std::function<clock::time_point()> now = clock::now)
        : open_(std::move(open)), warn_(std::move(warn)), options_(options), now_(std::move(now)),
          random_(std::random_device{}()) {
        for (const auto& host : hosts)
            servers_.push_back({server_address::parse(host), nullptr, {}, {}, 0});
    }

    // Calls use(connection, why) -> trial for one server after the other until one is done; use keeps the answer. When
    // there was none, why says what happened. An error is always temporary.
    template <class Use>
    [[nodiscard]] result<void> ask(Use&& use) {
        std::string trouble = "all servers are down";
        for (auto* one : order()) {
            bool answers = false;
            for (int round = 0; round < 2; ++round) {
                const bool fresh = one->connection == nullptr;
                if (fresh) {
                    auto opened = open_(one->address);
                    if (!opened) {
                        trouble = opened.error().text();
                        break;
                    }
                    one->connection = std::move(*opened);
                }
                std::string why;
                const auto outcome = use(*one->connection, why);
                if (outcome == trial::done) {
                    one->used = now_();
                    one->failures = 0;
                    return {};
                }
                trouble = why;
                if (outcome == trial::refused) {
                    one->used = now_();
                    answers = true;
                    break;
                }
                one->connection.reset();
                if (fresh || outcome == trial::hung)
                    break;
            }
            if (!answers)
                rest(*one, trouble);
        }
        return fail(errc::temporary, trouble);
    }

private:
    struct server {
        server_address address;
        std::unique_ptr<Connection> connection;
        clock::time_point used{};
        clock::time_point resting_until{};
        int failures = 0;
    };

    std::vector<server*> order() {
        const auto now = now_();
        std::vector<server*> out;
        for (auto& one : servers_) {
            if (one.connection && now - one.used > options_.idle)
                one.connection.reset();
            if (now >= one.resting_until)
                out.push_back(&one);
        }
        if (options_.order == server_order::random)
            std::shuffle(out.begin(), out.end(), random_);
        std::stable_sort(out.begin(), out.end(), [](const server* a, const server* b) { return rank(*a) < rank(*b); });
        return out;
    }
    static int rank(const server& one) {
        return (one.connection ? 0 : 2) + (one.address.what == server_address::kind::local ? 0 : 1);
    }
    void rest(server& one, const std::string& why) {
        const auto pause = std::min<std::chrono::milliseconds>(options_.retry,
                                                               std::chrono::seconds(1LL << std::min(one.failures, 20)));
        ++one.failures;
        one.resting_until = now_() + pause;
        warn_(why);
    }

    std::vector<server> servers_;
    open_function open_;
    warn_function warn_;
    pool_options options_;
    std::function<clock::time_point()> now_;
    std::minstd_rand random_;
};

} // namespace mta::table
