#include <algorithm>

#include <mta/address/domain_name.hpp>

#include "client_names.hpp"

namespace mta::daemon {

using boost::asio::awaitable;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t most_remembered = 2000;
constexpr std::chrono::seconds remembered_for{10};

awaitable<client_name> look_up(net::resolver& resolver, net::ip_address address) {
    client_name out;
    auto pointers = co_await resolver.reverse(address);
    if (!pointers) {
        out.trouble = true;
        co_return out;
    }
    if (pointers->names.empty())
        co_return out;
    std::string name = pointers->names.front();
    if (name.ends_with('.'))
        name.pop_back();
    if (!address::valid_hostname(name)) {
        out.remark = "hostname of address " + address.text() + " is malformed";
        co_return out;
    }
    out.reverse = name;
    auto forward = co_await resolver.addresses(name);
    if (!forward) {
        out.trouble = true;
        out.remark =
            "hostname " + name + " does not resolve to address " + address.text() + ": try again later";
        co_return out;
    }
    if (std::ranges::find(forward->addresses, address) == forward->addresses.end()) {
        out.remark = "hostname " + name + " does not resolve to address " + address.text();
        co_return out;
    }
    out.name = name;
    co_return out;
}

} // namespace

awaitable<client_name> client_names::find(net::ip_address address) {
    const std::string key = address.text();
    if (const auto it = recent_.find(key); it != recent_.end() && it->second.until > steady_clock::now())
        co_return it->second.known;
    auto found = co_await look_up(resolver_, address);
    if (recent_.size() >= most_remembered)
        recent_.clear();
    auto known = found;
    known.remark.clear(); // said once
    recent_[key] = {std::move(known), steady_clock::now() + remembered_for};
    co_return found;
}

} // namespace mta::daemon
