// Bodies of dns_channel.hpp.
#include <mta/net/dns_channel.hpp>

#include <cstring>

#include <netinet/in.h>
#include <sys/time.h>

#include <mta/core/text.hpp>

namespace mta::net {

dns_channel::~dns_channel() {
    if (ready_)
        ares_destroy(channel_);
}

void dns_channel::start() {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    ares_options wanted{};
    wanted.timeout = static_cast<int>(options_.query_limit.count());
    wanted.tries = options_.tries;
    wanted.sock_state_cb = [](void* data, ares_socket_t fd, int readable, int writable) {
        static_cast<dns_channel*>(data)->watch(fd, readable != 0, writable != 0);
    };
    wanted.sock_state_cb_data = this;
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = library == ARES_SUCCESS ? ares_init_options(&channel_, &wanted, mask) : library;
    ready_ = status == ARES_SUCCESS;
    if (ready_ && !options_.servers.empty())
        status = set_servers();
    if (status != ARES_SUCCESS)
        trouble_ = ares_strerror(status);
}

int dns_channel::set_servers() {
    std::vector<ares_addr_port_node> nodes;
    for (const auto& server : options_.servers) {
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
    return nodes.empty() ? ARES_EBADSTR : ares_set_servers_ports(channel_, nodes.data());
}

void dns_channel::watch(int fd, bool readable, bool writable) {
    auto& entry = sockets_[fd];
    if (!readable && !writable) {
        if (entry) {
            entry->gone = true;
            (void)entry->watch.release();
        }
        sockets_.erase(fd);
        return;
    }
    if (!entry) {
        entry = std::make_shared<socket_watch>(io_);
        boost::system::error_code ignored;
        entry->watch.assign(fd, ignored);
    }
    entry->want_read = readable;
    entry->want_write = writable;
    wait_for(fd, entry);
}

void dns_channel::wait_for(int fd, const std::shared_ptr<socket_watch>& entry) {
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

void dns_channel::process(int read_fd, int write_fd, const std::shared_ptr<socket_watch>& entry) {
    ares_process_fd(channel_, read_fd, write_fd);
    if (!entry->gone)
        wait_for(read_fd == ARES_SOCKET_BAD ? write_fd : read_fd, entry);
    arm();
}

void dns_channel::arm() {
    timeval left;
    if (ares_timeout(channel_, nullptr, &left) == nullptr) {
        timer_.cancel();
        return;
    }
    timer_.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec) +
                        milliseconds(1));
    timer_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
        const auto alive = self.lock();
        if (error || !alive)
            return;
        ares_process_fd(alive->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        alive->arm();
    });
}

void dns_channel::answer_came(void* data, int status, int, unsigned char* bytes, int size) {
    const std::unique_ptr<std::shared_ptr<pending>> owner(
        static_cast<std::shared_ptr<pending>*>(data));
    auto& question = **owner;
    question.done = true;
    question.status = status;
    if (bytes != nullptr && size > 0)
        question.bytes.assign(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    question.answered.notify();
}

std::shared_ptr<dns_channel::pending> dns_channel::ask(const std::string& name, std::uint16_t type) {
    auto question = std::make_shared<pending>(io_);
    if (!ready_ || !trouble_.empty()) {
        question->done = true;
        question->status = ARES_ENOTINITIALIZED;
        return question;
    }
    auto owner = std::make_unique<std::shared_ptr<pending>>(question);
    ares_query(channel_, name.c_str(), 1, type, answer_came, owner.release());
    arm();
    return question;
}

awaitable<result<dns_answer>> dns_channel::await_answer(std::shared_ptr<dns_channel> self, std::shared_ptr<pending> question,
                                                       std::string name, std::uint16_t type) {
    if (!question->done) {
        const auto woken = co_await question->answered.wait(self->options_.total_limit);
        if (!woken)
            co_return fail(woken.error().code, "no DNS answer for " + printable(name) + " in time");
    }
    co_return read_answer(*question, name, type);
}

result<dns_answer> dns_channel::read_answer(const pending& question, const std::string& name,
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

} // namespace mta::net
