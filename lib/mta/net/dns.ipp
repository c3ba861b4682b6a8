// Bodies of dns.hpp.
#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/net/dns.hpp>
#include <mta/net/dns_channel.hpp>
#include <mta/net/hosts_file.hpp>

namespace mta::net {

struct resolver::impl {
    impl(asio::io_context& io, resolver_options options)
        : channel(std::make_shared<dns_channel>(io, options)),
          hosts(options.use_hosts_file ? hosts_file(options.hosts_file) : hosts_file()) {
        channel->start();
    }

    std::shared_ptr<dns_channel> channel;
    hosts_file hosts;
};

namespace {

dns_outcome outcome_of(const dns_answer& answer) {
    if (!answer.records.empty())
        return dns_outcome::found;
    return answer.rcode == 3 ? dns_outcome::no_name : dns_outcome::no_record;
}

std::string without_dot(std::string name) {
    if (name.ends_with('.'))
        name.pop_back();
    return name;
}

void take_addresses(const dns_answer& answer, std::vector<ip_address>& out) {
    for (const auto& record : answer.records)
        if (out.size() < dns_record_limit)
            out.push_back(record.type == dns_type::a ? ip_address::v4(record.data.data())
                                                     : ip_address::v6(record.data.data()));
}

std::string reverse_name(const ip_address& address) {
    std::string out;
    const std::string_view bytes = address.bytes();
    constexpr char digits[] = "0123456789abcdef";
    for (auto i = bytes.size(); i-- > 0;) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        if (address.is_v6()) {
            out += digits[byte & 15];
            out += '.';
            out += digits[byte >> 4];
            out += '.';
        } else {
            out += std::to_string(byte) + ".";
        }
    }
    return out + (address.is_v6() ? "ip6.arpa" : "in-addr.arpa");
}

} // namespace

resolver::resolver(asio::io_context& io, resolver_options options)
    : impl_(std::make_shared<impl>(io, std::move(options))) {}
resolver::resolver(resolver&&) noexcept = default;
resolver& resolver::operator=(resolver&&) noexcept = default;
resolver::~resolver() = default;

awaitable<result<mx_answer>> resolver::mx(std::string name) {
    const auto self = impl_;
    name = without_dot(std::move(name));
    auto question = self->channel->ask(name, dns_type::mx);
    auto answer = co_await dns_channel::await_answer(self->channel, question, name, dns_type::mx);
    if (!answer)
        co_return failure(answer.error());
    mx_answer made;
    made.outcome = outcome_of(*answer);
    for (auto& record : answer->records)
        made.records.push_back(mx_record{record.preference, std::move(record.data)});
    std::stable_sort(made.records.begin(), made.records.end(),
                     [](const mx_record& a, const mx_record& b) { return a.preference < b.preference; });
    co_return made;
}

awaitable<result<address_answer>> resolver::addresses(std::string name, address_family family) {
    const auto self = impl_;
    name = without_dot(std::move(name));
    address_answer made;
    if (const auto* const known = self->hosts.addresses_of(name)) {
        for (const auto& address : *known)
            if (family == address_family::any || address.is_v6() == (family == address_family::v6))
                made.addresses.push_back(address);
        if (!made.addresses.empty()) {
            made.outcome = dns_outcome::found;
            co_return made;
        }
    }
    std::shared_ptr<dns_channel::pending> question4, question6;
    if (family != address_family::v6)
        question4 = self->channel->ask(name, dns_type::a);
    if (family != address_family::v4)
        question6 = self->channel->ask(name, dns_type::aaaa);
    bool name_exists = false;
    result<void> trouble;
    for (const bool v6 : {false, true}) {
        const auto& question = v6 ? question6 : question4;
        if (!question)
            continue;
        const std::uint16_t type = v6 ? dns_type::aaaa : dns_type::a;
        const auto answer = co_await dns_channel::await_answer(self->channel, question, name, type);
        if (!answer) {
            trouble = failure(answer.error());
            continue;
        }
        name_exists = name_exists || answer->rcode != 3;
        take_addresses(*answer, made.addresses);
    }
    if (made.addresses.empty() && !trouble)
        co_return failure(trouble.error());
    made.outcome = !made.addresses.empty() ? dns_outcome::found
                   : name_exists           ? dns_outcome::no_record
                                           : dns_outcome::no_name;
    co_return made;
}

awaitable<result<name_answer>> resolver::reverse(ip_address address) {
    const auto self = impl_;
    name_answer made;
    if (const auto* const known = self->hosts.names_of(address)) {
        made.names = *known;
        made.outcome = dns_outcome::found;
        co_return made;
    }
    const std::string name = reverse_name(address);
    auto question = self->channel->ask(name, dns_type::ptr);
    auto answer = co_await dns_channel::await_answer(self->channel, question, name, dns_type::ptr);
    if (!answer)
        co_return failure(answer.error());
    made.outcome = outcome_of(*answer);
    for (auto& record : answer->records)
        made.names.push_back(std::move(record.data));
    co_return made;
}

awaitable<result<text_answer>> resolver::txt(std::string name) {
    const auto self = impl_;
    name = without_dot(std::move(name));
    auto question = self->channel->ask(name, dns_type::txt);
    auto answer = co_await dns_channel::await_answer(self->channel, question, name, dns_type::txt);
    if (!answer)
        co_return failure(answer.error());
    text_answer made;
    made.outcome = outcome_of(*answer);
    for (auto& record : answer->records)
        made.texts.push_back(std::move(record.data));
    co_return made;
}

result<std::vector<socket_address>> parse_dns_servers(std::string_view text) {
    std::vector<socket_address> servers;
    for (const auto& word : split(text, ", \t\r\n")) {
        auto server = socket_address::parse(word, 53);
        if (!server)
            return failure(server.error());
        servers.push_back(*server);
    }
    return servers;
}

} // namespace mta::net
