#include <algorithm>
#include <fstream>
#include <map>

#include <ares.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <mta/core/text.hpp>
#include <mta/net/dns.hpp>
#include <mta/net/dns_message.hpp>

namespace mta::net {

namespace detail {

// One socket of c-ares, watched through Asio. c-ares closes the socket itself.
struct dns_socket {
    explicit dns_socket(asio::io_context& io) : watch(io) {}
    asio::posix::stream_descriptor watch;
    bool want_read = false;
    bool want_write = false;
    bool reading = false;
    bool writing = false;
    bool gone = false;
};

// What one question waits for. The coroutine may leave before the callback comes.
struct dns_question {
    explicit dns_question(asio::io_context& io) : answered(io) {}
    event answered;
    bool done = false;
    int status = ARES_ECANCELLED;
    std::string bytes;
};

// What /etc/hosts says, re-read when the file changed, looked at once a second at most.
struct hosts_table {
    std::string path;
    std::map<std::string, std::vector<ip_address>> by_name;
    std::map<ip_address, std::vector<std::string>> by_address;
    std::chrono::steady_clock::time_point looked{};
    timespec changed{};
    off_t size = -1;

    void refresh() {
        const auto now = std::chrono::steady_clock::now();
        if (path.empty() || (size >= 0 && now - looked < std::chrono::seconds(1)))
            return;
        looked = now;
        struct stat there;
        // A file that went away (a chroot) leaves what was read before.
        if (::stat(path.c_str(), &there) != 0 || there.st_size > (off_t{16} << 20))
            return;
        if (there.st_size == size && there.st_mtim.tv_sec == changed.tv_sec &&
            there.st_mtim.tv_nsec == changed.tv_nsec)
            return;
        std::ifstream file(path);
        if (!file)
            return;
        size = there.st_size;
        changed = there.st_mtim;
        by_name.clear();
        by_address.clear();
        std::string line;
        while (std::getline(file, line)) {
            const auto words = split(std::string_view(line).substr(0, line.find('#')), " \t\r");
            if (words.size() < 2)
                continue;
            const auto address = ip_address::parse(words[0]);
            if (!address)
                continue;
            for (std::size_t i = 1; i < words.size(); ++i) {
                auto& known = by_name[lower(words[i])];
                if (std::find(known.begin(), known.end(), *address) == known.end() && known.size() < dns_record_limit)
                    known.push_back(*address);
                auto& names = by_address[*address];
                if (names.size() < dns_record_limit)
                    names.emplace_back(words[i]);
            }
        }
    }
};

} // namespace detail

struct resolver::impl : std::enable_shared_from_this<resolver::impl> {
    impl(asio::io_context& context, resolver_options chosen) : io(context), timer(context), options(std::move(chosen)) {}
    impl(const impl&) = delete;
    impl& operator=(const impl&) = delete;
    ~impl() {
        if (ready)
            ares_destroy(channel);
    }

    asio::io_context& io;
    asio::steady_timer timer;
    resolver_options options;
    ares_channel channel = nullptr;
    bool ready = false;
    std::string trouble;
    std::map<int, std::shared_ptr<detail::dns_socket>> sockets;
    detail::hosts_table hosts;

    void start() {
        static const int library = ares_library_init(ARES_LIB_INIT_ALL);
        ares_options wanted{};
        wanted.timeout = static_cast<int>(options.query_limit.count());
        wanted.tries = options.tries;
        wanted.sock_state_cb = [](void* data, ares_socket_t fd, int readable, int writable) {
            static_cast<impl*>(data)->watch(fd, readable != 0, writable != 0);
        };
        wanted.sock_state_cb_data = this;
        const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
        int status = library == ARES_SUCCESS ? ares_init_options(&channel, &wanted, mask) : library;
        ready = status == ARES_SUCCESS;
        if (ready && !options.servers.empty())
            status = set_servers();
        if (status != ARES_SUCCESS)
            trouble = ares_strerror(status);
        if (options.use_hosts_file) {
            hosts.path = options.hosts_file;
            hosts.refresh();
        }
    }

    int set_servers() {
        std::vector<ares_addr_port_node> nodes;
        for (const auto& server : options.servers) {
            const auto ip = server.address();
            if (!ip)
                continue;
            ares_addr_port_node node{};
            node.family = ip->is_v6() ? AF_INET6 : AF_INET;
            std::memcpy(&node.addr, ip->bytes().data(), ip->bytes().size());
            node.udp_port = node.tcp_port = server.port();
            nodes.push_back(node);
        }
        for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
            nodes[i].next = &nodes[i + 1];
        return nodes.empty() ? ARES_EBADSTR : ares_set_servers_ports(channel, nodes.data());
    }

    void watch(int fd, bool readable, bool writable) {
        auto& entry = sockets[fd];
        if (!readable && !writable) {
            if (entry) {
                entry->gone = true;
                (void)entry->watch.release();
            }
            sockets.erase(fd);
            return;
        }
        if (!entry) {
            entry = std::make_shared<detail::dns_socket>(io);
            boost::system::error_code ignored;
            entry->watch.assign(fd, ignored);
        }
        entry->want_read = readable;
        entry->want_write = writable;
        wait_for(fd, entry);
    }

    void wait_for(int fd, const std::shared_ptr<detail::dns_socket>& entry) {
        if (entry->want_read && !entry->reading) {
            entry->reading = true;
            entry->watch.async_wait(asio::posix::descriptor_base::wait_read,
                                    [self = weak_from_this(), entry, fd](const boost::system::error_code&) {
                                        entry->reading = false;
                                        if (const auto alive = self.lock(); alive && !entry->gone)
                                            alive->process(fd, ARES_SOCKET_BAD, entry);
                                    });
        }
        if (entry->want_write && !entry->writing) {
            entry->writing = true;
            entry->watch.async_wait(asio::posix::descriptor_base::wait_write,
                                    [self = weak_from_this(), entry, fd](const boost::system::error_code&) {
                                        entry->writing = false;
                                        if (const auto alive = self.lock(); alive && !entry->gone)
                                            alive->process(ARES_SOCKET_BAD, fd, entry);
                                    });
        }
    }

    void process(int read_fd, int write_fd, const std::shared_ptr<detail::dns_socket>& entry) {
        ares_process_fd(channel, read_fd, write_fd);
        if (!entry->gone)
            wait_for(read_fd == ARES_SOCKET_BAD ? write_fd : read_fd, entry);
        arm();
    }

    void arm() {
        timeval left;
        if (ares_timeout(channel, nullptr, &left) == nullptr) {
            timer.cancel();
            return;
        }
        timer.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec) +
                            milliseconds(1));
        timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
            const auto alive = self.lock();
            if (error || !alive)
                return;
            ares_process_fd(alive->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
            alive->arm();
        });
    }

    static void answer_came(void* data, int status, int, unsigned char* bytes, int size) {
        const std::unique_ptr<std::shared_ptr<detail::dns_question>> owner(
            static_cast<std::shared_ptr<detail::dns_question>*>(data));
        auto& question = **owner;
        question.done = true;
        question.status = status;
        if (bytes != nullptr && size > 0)
            question.bytes.assign(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
        question.answered.notify();
    }

    std::shared_ptr<detail::dns_question> ask(const std::string& name, std::uint16_t type) {
        auto question = std::make_shared<detail::dns_question>(io);
        if (!ready || !trouble.empty()) {
            question->done = true;
            question->status = ARES_ENOTINITIALIZED;
            return question;
        }
        auto owner = std::make_unique<std::shared_ptr<detail::dns_question>>(question);
        ares_query(channel, name.c_str(), 1, type, answer_came, owner.release());
        arm();
        return question;
    }

    // Waits for the answer to a question and reads it. The three outcomes stay three.
    static awaitable<result<dns_answer>> await_answer(std::shared_ptr<impl> self,
                                                      std::shared_ptr<detail::dns_question> question,
                                                      std::string name, std::uint16_t type) {
        if (!question->done) {
            const auto woken = co_await question->answered.wait(self->options.total_limit);
            if (!woken)
                co_return fail(woken.error().code, "no DNS answer for " + printable(name) + " in time");
        }
        co_return read_answer(*question, name, type);
    }

    static result<dns_answer> read_answer(const detail::dns_question& question, const std::string& name,
                                          std::uint16_t type) {
        const int status = question.status;
        if (status == ARES_EBADNAME) {
            // No question could be asked, so no such name can exist.
            dns_answer none;
            none.rcode = 3;
            return none;
        }
        if ((status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND) && !question.bytes.empty()) {
            auto answer = parse_dns_answer(question.bytes, name, type);
            if (answer && (answer->rcode == 0 || answer->rcode == 3))
                return answer;
            if (!answer)
                return fail(errc::temporary, answer.error().detail);
        }
        return fail(status == ARES_ETIMEOUT ? errc::timeout : errc::temporary,
                    std::string("DNS: ") + ares_strerror(status));
    }
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
    : impl_(std::make_shared<impl>(io, std::move(options))) {
    impl_->start();
}
resolver::resolver(resolver&&) noexcept = default;
resolver& resolver::operator=(resolver&&) noexcept = default;
resolver::~resolver() = default;

awaitable<result<mx_answer>> resolver::mx(std::string name) {
    const auto self = impl_;
    name = without_dot(std::move(name));
    auto question = self->ask(name, dns_type::mx);
    auto answer = co_await impl::await_answer(self, question, name, dns_type::mx);
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
    self->hosts.refresh();
    if (const auto known = self->hosts.by_name.find(lower(name)); known != self->hosts.by_name.end()) {
        for (const auto& address : known->second)
            if (family == address_family::any || address.is_v6() == (family == address_family::v6))
                made.addresses.push_back(address);
        if (!made.addresses.empty()) {
            made.outcome = dns_outcome::found;
            co_return made;
        }
    }
    std::shared_ptr<detail::dns_question> question4, question6;
    if (family != address_family::v6)
        question4 = self->ask(name, dns_type::a);
    if (family != address_family::v4)
        question6 = self->ask(name, dns_type::aaaa);
    bool name_exists = false;
    result<void> trouble;
    for (const bool v6 : {false, true}) {
        const auto& question = v6 ? question6 : question4;
        if (!question)
            continue;
        const std::uint16_t type = v6 ? dns_type::aaaa : dns_type::a;
        const auto answer = co_await impl::await_answer(self, question, name, type);
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
    self->hosts.refresh();
    if (const auto known = self->hosts.by_address.find(address); known != self->hosts.by_address.end()) {
        made.names = known->second;
        made.outcome = dns_outcome::found;
        co_return made;
    }
    const std::string name = reverse_name(address);
    auto question = self->ask(name, dns_type::ptr);
    auto answer = co_await impl::await_answer(self, question, name, dns_type::ptr);
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
    auto question = self->ask(name, dns_type::txt);
    auto answer = co_await impl::await_answer(self, question, name, dns_type::txt);
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
