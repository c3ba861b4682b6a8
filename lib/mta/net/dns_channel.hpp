// Questions to DNS servers and their answers: c-ares on the loop's descriptors. The resolver's lower half.
//
// Not thread-safe. Any number of questions at once; what is not answered when the channel goes is never answered.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <ares.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <mta/net/asio.hpp>
#include <mta/net/dns.hpp>
#include <mta/net/dns_message.hpp>

namespace mta::net {

class dns_channel : public std::enable_shared_from_this<dns_channel> {
public:
    // What one question waits for. The coroutine may leave before the answer comes.
    struct pending {
        explicit pending(asio::io_context& io) : answered(io) {}
        event answered;
        bool done = false;
        int status = ARES_ECANCELLED;
        std::string bytes;
    };

    dns_channel(asio::io_context& io, resolver_options options) : io_(io), timer_(io), options_(std::move(options)) {}
    dns_channel(const dns_channel&) = delete;
    dns_channel& operator=(const dns_channel&) = delete;
    ~dns_channel();

    // Once, before the first question. Trouble is told to each of them.
    void start();

    // Sends a question, of class IN.
    [[nodiscard]] std::shared_ptr<pending> ask(const std::string& name, std::uint16_t type);
    // Waits for the answer to a question and reads it: an error, or what an authority says.
    [[nodiscard]] static awaitable<result<dns_answer>> await_answer(std::shared_ptr<dns_channel> self,
                                                                    std::shared_ptr<pending> question,
                                                                    std::string name, std::uint16_t type);

private:
    // One socket of c-ares, watched through Asio. c-ares closes the socket itself.
    struct socket_watch {
        explicit socket_watch(asio::io_context& io) : watch(io) {}
        asio::posix::stream_descriptor watch;
        bool want_read = false;
        bool want_write = false;
        bool reading = false;
        bool writing = false;
        bool gone = false;
    };

    [[nodiscard]] int set_servers();
    void watch(int fd, bool readable, bool writable);
    void wait_for(int fd, const std::shared_ptr<socket_watch>& entry);
    void process(int read_fd, int write_fd, const std::shared_ptr<socket_watch>& entry);
    void arm();
    static void answer_came(void* data, int status, int timeouts, unsigned char* bytes, int size);
    [[nodiscard]] static result<dns_answer> read_answer(const pending& question, const std::string& name,
                                                        std::uint16_t type);

    asio::io_context& io_;
    asio::steady_timer timer_;
    resolver_options options_;
    ares_channel channel_ = nullptr;
    bool ready_ = false;
    std::string trouble_;
    std::map<int, std::shared_ptr<socket_watch>> sockets_;
};

} // namespace mta::net
